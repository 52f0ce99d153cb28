"""Which chunk stands at a place while two versions of its document are kept. Pure.

A new version is kept before the old one is removed (decision 42): for that moment, or until an interrupted
`factotum memory add` runs again, a place may hold both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from factotum.memory.kinds import OF_DOCUMENTS
from factotum.memory.ranking.found import Found
from factotum.memory.store.port import Candidate


def versioned(candidate: Candidate) -> bool:
    """Whether another record at its place would be the same chunk of another version."""
    return candidate.kind in OF_DOCUMENTS and bool(candidate.sequence) and not candidate.speaker


def newest(found: Sequence[Found]) -> list[Found]:
    """Without chunks at whose place a newer one stands. Where both are as new as each other both stay."""
    latest: dict[tuple[str, str, int], datetime] = {}
    for each in found:
        if versioned(each.candidate):
            place = _place(each.candidate)
            latest[place] = max(each.candidate.created_at, latest.get(place, each.candidate.created_at))
    return [
        each
        for each in found
        if not versioned(each.candidate) or each.candidate.created_at == latest[_place(each.candidate)]
    ]


def _place(candidate: Candidate) -> tuple[str, str, int]:
    return candidate.kind, candidate.sequence, candidate.position
