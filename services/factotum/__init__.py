"""Factotum: a Large Action Model platform. See services/README.md for the map."""
