"""Tickets: issues of Jira Cloud."""
