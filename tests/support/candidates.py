"""Candidates of a search, as short as a test can say them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from factotum.memory.store.port import Candidate

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def candidate(identity: str, score: float = 0.0, **changes: Any) -> Candidate:
    plain: dict[str, Any] = {
        "kind": "observation",
        "run_id": "",
        "created_at": LONG_AGO,
        "importance": 0.0,
        "sequence": "",
        "position": 0,
        "speaker": "",
        "content_sha256": "",
    }
    return Candidate(id=identity, score=score, **{**plain, **changes})


def listed(names: str, **changes: Any) -> list[Candidate]:
    """One candidate a letter, best first, each one point behind the one before."""
    return [candidate(name, float(len(names) - place), **changes) for place, name in enumerate(names)]
