"""Sources of the kind command: programs that an operator declares as tools. See docs/commands.md."""
