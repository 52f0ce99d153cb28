"""Which runs want to hear of an event.

The rows are in the planner's file, and all of them in memory too: an event that nobody listens to
costs no query, only a look whether the file has changed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from factotum.planner import subscription_rows as rows
from factotum.planner.errors import StoreUnavailable
from factotum.planner.store_file import LOCK_SECONDS, StoreFile
from factotum.planner.subscription_rows import Filter
from factotum.procedures.event_matching import agrees, is_literal

# How long a run may be unknown to Temporal after the planner set out to start it.
STARTING_SECONDS = 30.0
# The type of filters that name none, or one that is no plain text.
_ANY_TYPE = None


class Subscriptions:
    """Use as an async context manager, within that of the file. Methods raise `StoreUnavailable`.

    Several planners on one file see each other's subscriptions: once one of them has returned from
    `subscribe`, no other misses the run.

    Args:
        path: that of the file.
        seconds: seconds since the epoch, now.
    """

    def __init__(self, file: StoreFile, path: Path, *, seconds: Callable[[], float]) -> None:
        self._file = file
        self._path = path
        self._seconds = seconds
        # Not the file's own connection: SQLite tells of a change to those only who did not make it.
        self._reader: sqlite3.Connection | None = None
        self._seen_version = -1
        self._seen_change = 0
        self._tenants: dict[str, _Listeners] = {}

    async def __aenter__(self) -> Self:
        try:
            self._reader = sqlite3.connect(
                f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=LOCK_SECONDS
            )
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    async def subscribe(self, tenant: str, run_id: str, filters: list[Filter]) -> None:
        """From now on the run hears of what a filter takes; earlier filters of the run are replaced."""
        await self._file.run(lambda db: rows.put(db, tenant, run_id, filters))

    async def subscribe_before_start(self, tenant: str, run_id: str, filters: list[Filter]) -> None:
        """As `subscribe`, for a run that is about to be started; nothing if it ever subscribed by itself."""
        since = self._seconds()
        await self._file.run(lambda db: rows.put_before_start(db, tenant, run_id, filters, since))

    async def unsubscribe(self, tenant: str, run_id: str) -> None:
        await self._file.run(lambda db: rows.end(db, tenant, run_id))

    def listening(self, tenant: str, attributes: Mapping[str, Any]) -> list[str]:
        """The ids of the runs that a filter of theirs makes hear of an event with these attributes."""
        self._catch_up()
        listeners = self._tenants.get(tenant)
        return [] if listeners is None else listeners.of(attributes)

    def hears(self, tenant: str, run_id: str) -> bool:
        """Whether the run is still subscribed."""
        self._catch_up()
        return tenant in self._tenants and run_id in self._tenants[tenant].rows

    def is_starting(self, tenant: str, run_id: str) -> bool:
        """Whether a run that Temporal does not know may be about to be started."""
        self._catch_up()
        row = self._tenants[tenant].rows.get(run_id) if tenant in self._tenants else None
        since = row.starting_since if row is not None else None
        return since is not None and self._seconds() - since < STARTING_SECONDS

    def _catch_up(self) -> None:
        """Reads what has changed; a few microseconds where nothing has."""
        if self._reader is None:
            raise StoreUnavailable("the subscriptions are not open")
        try:
            with closing(self._reader.execute("PRAGMA data_version")) as cursor:
                (version,) = cursor.fetchone()
            if version == self._seen_version:
                return
            changed = rows.after(self._reader, self._seen_change)
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        for row in changed:
            self._tenants.setdefault(row.tenant, _Listeners()).put(row)
            self._seen_change = row.change
        # Last: what failed on the way is read again.
        self._seen_version = version

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        return StoreUnavailable(f"the store {self._path} cannot be read: {error}")


class _Listeners:
    """The subscribed runs of one tenant, by the event types that they name."""

    def __init__(self) -> None:
        self.rows: dict[str, rows.Row] = {}
        self._by_type: dict[str | None, dict[str, list[Filter]]] = {}

    def put(self, row: rows.Row) -> None:
        old = self.rows.pop(row.run_id, None)
        for filter_ in (old.filters or ()) if old is not None else ():
            self._by_type.get(_type_of(filter_), {}).pop(row.run_id, None)
        if row.filters is None:
            return
        self.rows[row.run_id] = row
        for filter_ in row.filters:
            self._by_type.setdefault(_type_of(filter_), {}).setdefault(row.run_id, []).append(filter_)

    def of(self, attributes: Mapping[str, Any]) -> list[str]:
        found: dict[str, None] = {}
        for kind in (attributes.get("type"), _ANY_TYPE):
            for run_id, filters in self._by_type.get(kind, {}).items():
                if run_id not in found and _any_agrees(filters, attributes):
                    found[run_id] = None
        return list(found)


def _any_agrees(filters: Sequence[Filter], attributes: Mapping[str, Any]) -> bool:
    return any(agrees(filter_, attributes) for filter_ in filters)


def _type_of(filter_: Filter) -> str | None:
    named = filter_.get("type")
    return named if isinstance(named, str) and is_literal(named) else _ANY_TYPE
