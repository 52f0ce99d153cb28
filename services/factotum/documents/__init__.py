"""Documents as the memory takes them: read, cut into chunks, named. Knows no service."""
