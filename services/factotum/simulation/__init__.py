"""Runs a document in memory: the same interpreter, with time, tools, people and events made up."""
