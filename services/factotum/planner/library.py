"""The procedures that the planner may start, every version of them, for each tenant.

A version never changes once it was run; what a tenant registered never changes at all.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from factotum.planner import procedure_rows as rows
from factotum.planner.errors import LibraryFaulty, UnknownProcedure, VersionTaken
from factotum.planner.procedure_rows import EVERY_TENANT, Key, Row
from factotum.planner.shelf import Filed
from factotum.planner.store_file import StoreFile
from factotum.planner.versions import precedence
from factotum.procedures.parse import Source, parse

ADVICE = "raise the version (`document.version`): what was run is never changed"
# Documents that are kept parsed; a tenant has tens of procedures.
PARSED = 2_000


@dataclass(frozen=True, slots=True)
class Kept:
    """A version with the text that it was registered with; `tenant` is empty for one of a folder."""

    source: Source
    text: str
    tenant: str


class Library:
    """Procedures by tenant, namespace/name and version. Every method may raise `StoreUnavailable`."""

    def __init__(self, file: StoreFile) -> None:
        self._file = file
        self._parsed: dict[str, Kept] = {}
        self._used: set[Key] = set()
        # The tenants for whom procedures were asked for since the process began.
        self.asked_for: set[str] = set()

    async def shelve(self, files: Iterable[Filed], now: datetime) -> None:
        """Makes the folders' files what every tenant has; a version whose file is gone stays for the runs that
        name it. Raises `LibraryFaulty`, and changes nothing, if a file differs from what was run under its version.
        """
        files = list(files)

        def work(db: sqlite3.Connection) -> None:
            rows.clear_shelf(db)
            faults = [fault for filed in files if (fault := _shelve(db, filed, now))]
            if faults:
                raise LibraryFaulty("\n".join(faults))

        await self._file.run(work)

    async def register(self, tenant: str, text: str, now: datetime) -> bool:
        """Adds a tenant's own version of what the text holds; False if these very bytes were there before.

        Raises `FaultyDocument` for what cannot be read, `VersionTaken` for other content under the version.
        """
        source = parse(text)
        procedure, version = source.document.full_name, source.document.document.version
        row = Row(tenant, procedure, version, text, _sha256(text), now, used_at=None, shelved=True)

        def work(db: sqlite3.Connection) -> bool:
            shared = rows.find(db, EVERY_TENANT, procedure, version)
            there = rows.find(db, tenant, procedure, version) or (shared if shared and shared.shelved else None)
            if there is None:
                rows.put(db, row)
                return True
            if there.sha256 != row.sha256:
                raise VersionTaken(f"{procedure} {version} is there with another content: {ADVICE}")
            return False

        return await self._file.run(work)

    async def newest(self, tenant: str) -> list[Source]:
        """The newest version of each procedure, by name: those that events start."""
        return [kept.source for kept in await self.newest_kept(tenant)]

    async def newest_kept(self, tenant: str) -> list[Kept]:
        """As `newest`, with whose each is."""
        self.asked_for.add(tenant)

        def work(db: sqlite3.Connection) -> list[Kept]:
            found: dict[str, Key] = {}
            for key in rows.keys(db, tenant):
                if key.procedure not in found or _newness(key) > _newness(found[key.procedure]):
                    found[key.procedure] = key
            return [self._kept(db, found[name]) for name in sorted(found)]

        return await self._file.read(work)

    async def find(self, tenant: str, procedure: str, version: str = "") -> Kept:
        """One version, with its text; without a version the newest. Raises `UnknownProcedure`."""

        def work(db: sqlite3.Connection) -> Kept | None:
            if version:
                of_tenants = (rows.find(db, owner, procedure, version) for owner in (tenant, EVERY_TENANT))
                row = next((row for row in of_tenants if row is not None), None)
                return None if row is None else self._kept(db, _key(row))
            newest = max(rows.keys(db, tenant, procedure), key=_newness, default=None)
            return None if newest is None else self._kept(db, newest)

        found = await self._file.read(work)
        if found is None:
            raise UnknownProcedure(f"tenant {tenant} has no procedure {procedure}{version and f' {version}'}")
        return found

    async def versions(self, tenant: str) -> dict[str, list[str]]:
        """Every version of each procedure by its name, newest first."""
        keys = await self._file.read(lambda db: rows.keys(db, tenant))
        found: dict[str, set[str]] = {}
        for key in keys:
            found.setdefault(key.procedure, set()).add(key.version)
        return {name: sorted(found[name], key=precedence, reverse=True) for name in sorted(found)}

    async def mark_used(self, tenant: str, sources: Iterable[Source], now: datetime) -> None:
        """Notes that runs of these begin, from when on they do not change. To be called before they begin."""
        names = {(source.document.full_name, source.document.document.version) for source in sources}
        fresh = {Key(tenant, *name, "") for name in names} - self._used

        def work(db: sqlite3.Connection) -> None:
            for key in fresh:
                for owner in (tenant, EVERY_TENANT):
                    if rows.find(db, owner, key.procedure, key.version) is not None:
                        rows.mark_used(db, replace(key, tenant=owner), now)
                        break

        if fresh:
            await self._file.run(work)
            self._used |= fresh

    async def tenants(self) -> list[str]:
        """Those that registered procedures of their own."""
        return await self._file.read(rows.tenants)

    def _kept(self, db: sqlite3.Connection, key: Key) -> Kept:
        """In the file's thread. The document is parsed once, however often it is asked for."""
        kept = self._parsed.get(key.sha256)
        if kept is None:
            row = rows.find(db, key.tenant, key.procedure, key.version)
            if row is None:
                raise AssertionError("a row cannot go within a transaction")
            if len(self._parsed) >= PARSED:
                self._parsed.clear()
            kept = self._parsed[key.sha256] = Kept(parse(row.text), row.text, row.tenant)
        return replace(kept, tenant=key.tenant)


def _shelve(db: sqlite3.Connection, filed: Filed, now: datetime) -> str:
    """The fault of a file that may not be put there; empty if it was."""
    procedure, version = filed.source.document.full_name, filed.source.document.document.version
    sha256 = _sha256(filed.text)
    there = rows.find(db, EVERY_TENANT, procedure, version)
    if there is not None and there.sha256 != sha256 and there.used_at is not None:
        return (
            f"{filed.path}: {procedure} {version} differs from what was run under this version since "
            f"{there.used_at:%Y-%m-%d %H:%M} UTC: {ADVICE}"
        )
    if there is not None and there.sha256 == sha256:
        rows.put(db, replace(there, shelved=True))
    else:
        rows.put(db, Row(EVERY_TENANT, procedure, version, filed.text, sha256, now, used_at=None, shelved=True))
    return ""


def _newness(key: Key) -> tuple[object, bool]:
    return precedence(key.version), key.tenant != EVERY_TENANT


def _key(row: Row) -> Key:
    return Key(row.tenant, row.procedure, row.version, row.sha256)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
