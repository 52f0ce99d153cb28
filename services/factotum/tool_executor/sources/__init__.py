"""Where tools come from, beside the connectors that are installed: one kind a module."""
