"""Where what is fetched or built once, and can be again, is kept for all stacks of a user."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def directory(environment: Mapping[str, str]) -> Path:
    """FACTOTUM_CACHE_DIRECTORY, else the user's cache as the XDG Base Directory Specification has it."""
    if given := environment.get("FACTOTUM_CACHE_DIRECTORY"):
        return Path(given).resolve()
    return Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "factotum"
