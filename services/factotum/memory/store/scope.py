"""Which rows a request to Milvus may touch: the one place where a filter is written.

`collection.py` asks Milvus nothing without a `Filter`, and a `Filter` can be made by the functions here alone. Each
begins with the tenant, but those for the store's own use say so in their name. No value that came from outside is
written into a filter as it came: it is a number, one of our own words, checked to be without quotes, or a hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Final

from factotum.memory import records
from factotum.memory.store.port import Scope, Stretch
from factotum.memory.store.rows import key_of, microseconds, number_of, sequence_number, subject_form

_MADE_HERE: Final = object()
# Milvus Lite compares a column with so many numbers, one after the other, faster than it looks each row up in a set.
_COMPARED: Final = 30


class Filter:
    """A condition in Milvus' language. Only this module can make one."""

    __slots__ = ("expression",)

    def __init__(self, expression: str, token: object) -> None:
        if token is not _MADE_HERE:
            raise TypeError("a filter is made by factotum.memory.store.scope")
        self.expression = expression


class Columns:
    """Where a generation keeps what filters look at: in columns of their own."""

    def of(self, name: str) -> str:
        return name

    def keys(self, keys: Sequence[str]) -> str:
        """Rows with these keys, and hardly ever another: who asks compares what comes."""
        numbers = [number_of(key) for key in keys]
        if len(numbers) > _COMPARED:
            return f"number in {numbers}"
        return _any([f"number == {number}" for number in numbers])

    def places(self, stretches: Sequence[Stretch]) -> str:
        """Rows in one of these stretches, and hardly ever another."""
        return _any(
            [
                f"(sequence_number == {sequence_number(each.sequence)} and {_between('position', each)})"
                for each in stretches
            ]
        )

    def any_subject(self, digests: Sequence[str]) -> str:
        return f"array_contains_any(subject_keys, {json.dumps(list(digests))})"

    def alive(self, at: int) -> str:
        return f"expires_at > {at}"

    def standing(self) -> str:
        return "superseded_at == 0"


class PathColumns(Columns):
    """In a column of type JSON, at a path that rows of older releases lack: those neither expire nor are superseded.

    Milvus Lite knows neither `not` nor `exists`; what is missing is unequal to everything.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def of(self, name: str) -> str:
        return f'{self._path}["{name}"]'

    def keys(self, keys: Sequence[str]) -> str:
        return f"key in {json.dumps([_hexadecimal(key) for key in keys])}"

    def places(self, stretches: Sequence[Stretch]) -> str:
        return _any(
            [
                f'({self.of("sequence_key")} == "{digest(each.sequence)}" and {_between(self.of("position"), each)})'
                for each in stretches
            ]
        )

    def any_subject(self, digests: Sequence[str]) -> str:
        return f"json_contains_any({self.of('subject_keys')}, {json.dumps(list(digests))})"

    def alive(self, at: int) -> str:
        return f"({self.of('expires_at')} > {at} or {self.of('is_there')} != 1)"

    def standing(self) -> str:
        return f"{self.of('is_superseded')} != 1"


def digest(value: str) -> str:
    """What stands in a column, and so in a filter, for a text that could be anything: 32 hexadecimal digits."""
    return hashlib.sha256(value.encode()).hexdigest()[:32]


def of_scope(scope: Scope, columns: Columns) -> Filter:
    """Raises `InvalidRequest`."""
    return Filter(" and ".join(_clauses(scope, columns)), _MADE_HERE)


def near(scope: Scope, ids: Sequence[str], stretches: Sequence[Stretch], columns: Columns) -> Filter:
    """The rows of the scope with one of the ids or in one of the stretches; and hardly ever another.

    At least one of an id and a stretch, of a sequence with a name, is given. Raises `InvalidRequest`.
    """
    either = [columns.keys([key_of(scope.tenant, each) for each in ids])] if ids else []
    either += [columns.places(stretches)] if stretches else []
    return Filter(" and ".join([*_clauses(scope, columns), _any(either)]), _MADE_HERE)


def near_ids(tenant: str, ids: Iterable[str], columns: Columns) -> Filter:
    """The rows of the tenant's records with these ids, and hardly ever another. Raises `InvalidRequest`."""
    return Filter(f"{_tenant(tenant)} and {columns.keys([key_of(tenant, each) for each in ids])}", _MADE_HERE)


def of_ids(tenant: str, ids: Iterable[str]) -> Filter:
    """The rows of the tenant's records with these ids. Raises `InvalidRequest`."""
    keys = [key_of(tenant, identity) for identity in ids]
    return Filter(f"{_tenant(tenant)} and key in {json.dumps(keys)}", _MADE_HERE)


def after_key(within: Filter, key: str) -> Filter:
    """What of a filter's rows follows a key: the next page of a listing, which is in the order of keys."""
    return Filter(f'key > "{_hexadecimal(key)}" and {within.expression}' if key else within.expression, _MADE_HERE)


def of_every_tenant() -> Filter:
    """For what the store does by itself: copying a generation, and saying which tenants there are."""
    return Filter('key > ""', _MADE_HERE)


def near_keys_of_every_tenant(keys: Sequence[str], columns: Columns) -> Filter:
    """For what the store does by itself: the rows with these keys, and hardly ever another."""
    return Filter(columns.keys(keys), _MADE_HERE)


def of_keys_of_every_tenant(keys: Iterable[str]) -> Filter:
    """For what the store does by itself: what of a batch of rows is there already."""
    return Filter(f"key in {json.dumps([_hexadecimal(key) for key in keys])}", _MADE_HERE)


def of_state(*sorts: str) -> Filter:
    """For what the store does by itself: the rows of `memory_state` of these sorts."""
    assert all(sort.isalpha() for sort in sorts), "sorts are words of our own"
    return Filter(f"sort in {json.dumps(list(sorts))}", _MADE_HERE)


def of_marks() -> Filter:
    """For what the store does by itself: who was forgotten lately, of all tenants."""
    return Filter('sort == "mark"', _MADE_HERE)


def of_receipts(tenant: str) -> Filter:
    """The tenant's rows of `memory_state`. Raises `InvalidRequest`."""
    return Filter(f'{_tenant(tenant)} and sort == "receipt"', _MADE_HERE)


def _clauses(scope: Scope, columns: Columns) -> list[str]:
    parts = [_tenant(scope.tenant)]
    if scope.kinds:
        known = [kind for kind in records.KINDS.values() if kind in scope.kinds]
        assert len(known) == len(set(scope.kinds)), "kinds are taken from records.KINDS"
        parts.append(f"kind in {json.dumps(known)}")
    if scope.run_id:
        parts.append(f'run_id == "{records.checked_run_id(scope.run_id)}"')
    if scope.subjects:
        parts.append(columns.any_subject([digest(subject_form(subject)) for subject in scope.subjects]))
    if scope.document:
        parts.append(f'{columns.of("document_key")} == "{digest(scope.document)}"')
    if scope.contents:
        parts.append(f"{columns.of('content_sha256')} in {json.dumps([_hexadecimal(each) for each in scope.contents])}")
    if scope.after is not None:
        parts.append(f"created_at >= {microseconds(scope.after)}")
    if scope.before is not None:
        parts.append(f"created_at < {microseconds(scope.before)}")
    if scope.alive_at is not None:
        parts.append(columns.alive(microseconds(scope.alive_at)))
    if not scope.history:
        parts.append(columns.standing())
    return parts


def _any(conditions: Sequence[str]) -> str:
    """One of the conditions, at least one, holds. In pairs of pairs: Milvus reads a chain as one condition within the
    other, and fails where some fifty are within each other."""
    if len(conditions) == 1:
        return conditions[0]
    half = len(conditions) // 2
    return f"({_any(conditions[:half])} or {_any(conditions[half:])})"


def _between(position: str, stretch: Stretch) -> str:
    return f"{position} >= {int(stretch.first)} and {position} <= {int(stretch.last)}"


def _tenant(tenant: str) -> str:
    return f'tenant == "{records.checked_tenant(tenant)}"'


def _hexadecimal(key: str) -> str:
    bytes.fromhex(key)
    return key
