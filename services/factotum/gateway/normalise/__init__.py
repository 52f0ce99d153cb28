"""What was delivered, as Events: one small module a form."""
