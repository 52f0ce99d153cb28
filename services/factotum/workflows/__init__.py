"""The interpreter of documents as a Temporal workflow. Sandboxed definitions only."""
