"""Text to vectors: one port, several models."""
