"""Commands, scripts and containers that a document runs: see docs/decisions/0015-commands-in-a-sandbox.md."""
