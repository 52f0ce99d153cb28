"""Observations of one tool that are about the same and say the same become one episode: how often, and when. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, TRUST_SYSTEM, Record
from factotum.memory.records import normal
from factotum.memory.tally import summed, tally_of, written
from factotum.memory.telling import cut
from factotum.memory.told import FEWEST, REPEATED, Told, episode_id

# Ids that one record names as what it was made from, and how many bytes of its provenance they may be.
MOST_FOLDED = 500
MOST_FOLDED_BYTES = 40_000
# Of each id, beside itself: what marks a string in a message.
_FRAME_BYTES = 3

# What varies in what is otherwise the same: addresses and links, numbers in all their forms, ids.
_VARYING = re.compile(r"\S+@\S+|\w+://\S+|\b(?=\w*\d)[\w.:+-]+")


@dataclass(frozen=True, slots=True)
class Fold:
    """Records that become one. `removed` are then no longer needed, those that were made from others first; a habit
    leaves what it was seen in."""

    tenant: str
    rule: str
    into: Record
    removed: tuple[str, ...]


def repeated(tenant: str, observed: Sequence[Told], folded: Sequence[Told]) -> Iterator[Fold]:
    """Args:
    observed: observations, the oldest first.
    folded: what stands of what was made here before.
    """
    groups: dict[str, list[Told]] = defaultdict(list)
    for told in observed:
        groups[_key(told)].append(told)
    earlier: dict[str, list[Told]] = defaultdict(list)
    for told in folded:
        earlier[told.text_of("shape")].append(told)
    for key, group in groups.items():
        # What was folded before takes in what came since, as long as it can name all it was made from.
        base = next((one for one in earlier[key] if fitting(one.sources, [group[0].record.id])), None)
        if base is not None or len(group) >= FEWEST:
            yield from _folds(tenant, key, base, group)


def left(seen: Sequence[Told], folded: Sequence[Told]) -> set[str]:
    """Observations that a standing record was made from, and records whose sources another one has all, and more."""
    sources = {told.record.id: set(told.sources) for told in folded}
    found = {told.record.id for told in seen} & set().union(*sources.values())
    for identity, mine in sources.items():
        if any(mine < others for other, others in sources.items() if other != identity):
            found.add(identity)
    return found


def shape(record: Record) -> str:
    """The text without what varies: two observations of one shape say the same."""
    text = normal(record.text)
    for subject in record.subjects:
        text = text.replace(normal(subject), "…")
    return _VARYING.sub("…", text)


def fitting(named: Sequence[str], more: Sequence[str]) -> int:
    """How many of these ids, from the first on, one record can name beside those it names already."""
    room = MOST_FOLDED_BYTES - sum(map(_size, named))
    for index, identity in enumerate(more[: max(0, MOST_FOLDED - len(named))]):
        room -= _size(identity)
        if room < 0:
            return index
    return min(len(more), max(0, MOST_FOLDED - len(named)))


def _size(identity: str) -> int:
    return len(identity.encode()) + _FRAME_BYTES


def _folds(tenant: str, key: str, base: Told | None, group: Sequence[Told]) -> Iterator[Fold]:
    rest = list(group)
    while rest and (base is not None or len(rest) >= FEWEST):
        fits = fitting(base.sources if base is not None else (), [told.record.id for told in rest])
        taken, rest = rest[:fits], rest[fits:]
        if not taken or (base is None and len(taken) < FEWEST):
            return
        into = _episode(tenant, key, base, taken)
        removed = ([base.record.id] if base is not None else []) + [told.record.id for told in taken]
        yield Fold(tenant, REPEATED, into, tuple(removed))
        base = None


def _key(told: Told) -> str:
    # Of other people it tells another thing: nobody's data may come to stand in, or go with, somebody else's.
    kept = (told.tool, told.error, told.subjects, shape(told.record))
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:32]


def _episode(tenant: str, key: str, base: Told | None, group: Sequence[Told]) -> Record:
    last = group[-1]
    # What came late may be older than what was folded before it.
    moments = [told.moment for told in group] + ([base.first, base.moment] if base is not None else [])
    first, end = min(moments), max(moments)
    count = (base.count if base is not None else 0) + len(group)
    did = f"failed ({last.error})" if last.error else "did the same"
    ids = tuple(sorted({told.record.id for told in group} | set(base.sources if base is not None else ())))
    text = (
        f"{last.tool} {did} {count} times between {first:%Y-%m-%d %H:%M} and {end:%Y-%m-%d %H:%M} UTC."
        f" The last time: {last.record.text}"
    )
    attributes = {
        "folded": REPEATED,
        "shape": key,
        "tool": last.tool,
        "error": last.error,
        "count": count,
        "first": first.isoformat(),
        "last": end.isoformat(),
    }
    if last.subjects and not last.error:
        attributes["choices"] = written(summed(map(tally_of, (*([base] if base is not None else []), *group))))
    record = Record(
        id=episode_id(tenant, ids),
        kind=KIND_EPISODE,
        text=cut(text),
        subjects=last.subjects,
        trust=TRUST_SYSTEM,
        importance=max(told.record.importance for told in (*group, *([base] if base is not None else []))),
        attributes_json=json.dumps(attributes, ensure_ascii=False),
    )
    record.created_at.FromDatetime(end)
    record.provenance.folded_from.extend(ids)
    return record
