"""Secrets are named in documents and settings and resolved only in the process that uses them."""
