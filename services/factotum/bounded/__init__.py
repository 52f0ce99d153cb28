"""Evaluates any expression within a bound of time and memory, in processes that can be killed."""
