"""Where commands run that must reach nothing: see docs/decisions/0030-a-port-for-sandboxed-commands.md."""
