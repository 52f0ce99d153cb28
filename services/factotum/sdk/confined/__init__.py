"""A child process that may hardly do anything, and is stopped when it takes too long or too much: both ends of it."""
