"""Behaviour around a tool, one wrapper a module; `factotum.tool_executor.execution` composes them."""
