"""Thin clients that the workflows call: everything a run does to the world passes here."""
