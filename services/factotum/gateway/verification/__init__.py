"""Whether a delivery was signed by its sender: one small module a scheme."""
