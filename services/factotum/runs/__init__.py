"""Runs as seen from outside: starting, listing and reading them. The client side of Temporal."""
