"""Why a secret is not to be had."""

from __future__ import annotations


class UnknownSecret(LookupError):
    """There is no such secret. The message names it and the place to put it, never a value.

    Args:
        place: where the store that was asked would have it; empty where it could have none of that name.
    """

    def __init__(self, message: str, *, place: str = "") -> None:
        super().__init__(message)
        self.place = place


class SecretsUnavailable(Exception):
    """The store did not answer, or answered that it cannot now: asked again later, it may."""
