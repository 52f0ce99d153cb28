"""Why a document cannot be taken."""

from __future__ import annotations


class Unreadable(ValueError):
    """The document cannot be read as what it says it is; the message says why, and what to do about it."""


class NotADocument(Unreadable):
    """It is of no sort that there is a reader for."""
