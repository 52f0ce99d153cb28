"""The sandbox: real servers that a company's own systems would otherwise be. See README.md."""
