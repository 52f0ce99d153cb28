"""How a tenant's sources come and go: read, made into tools, kept and put into the catalog, all of it or nothing.

What was read before makes the tools at a start, so that a source that is away then is not missed.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from pydantic_core import from_json

from factotum.sdk.spec import SYSTEM_PATTERN, ToolSpec
from factotum.tool_executor.catalog import Catalog, SystemTaken
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.sources.making import Maker
from factotum.tool_executor.sources.source import Offer, SourceInvalid
from factotum.tool_executor.sources.store import Definition, Key, SourceStore, Stored, StoreUnavailable, UnknownSource

log = structlog.get_logger(__name__)

# A source's document and its configuration together.
MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Listed:
    """A source as it is shown. `read_at` is None for one that was never read; `fault` says why it cannot be used,
    or not as it is defined now."""

    tenant: str
    system: str
    kind: str
    config_json: str
    tools: tuple[str, ...] = ()
    fault: str = ""
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of tools that came, went, or have another contract now."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class Sources:
    """The sources of all tenants. Several executors may have them in one store."""

    def __init__(self, *, maker: Maker, store: SourceStore, catalog: Catalog, now: Callable[[], datetime]) -> None:
        self._maker = maker
        self._store = store
        self._catalog = catalog
        self._now = now
        self._seen = -1
        self._versions: dict[Key, int] = {}
        self._listed: dict[Key, Listed] = {}
        self._waiting: dict[Key, Definition] = {}
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    def listed(self, tenant: str) -> list[Listed]:
        """By system."""
        return [self._listed[key] for key in sorted(self._listed) if key[0] == tenant]

    async def add(self, definition: Definition) -> Listed:
        """Its tools are in the catalog when this returns; where it raises, nothing is changed.

        Raises `CallRefused`, `SourceInvalid`, `SourceUnavailable`, `SystemTaken`, `StoreUnavailable`.
        """
        check_definition(definition)
        async with self._locks[definition.key]:
            kept = await self._store.find(*definition.key)
            if kept is not None and kept.definition.from_file and not definition.from_file:
                raise SystemTaken(f"{definition.system!r} is a source of the file of sources: change it there")
            return await self._read_and_kept(definition)

    async def remove(self, tenant: str, system: str, *, from_file: bool = False) -> None:
        """Calls under way go to their end. Raises `UnknownSource`, `SystemTaken`, `StoreUnavailable`."""
        async with self._locks[tenant, system]:
            kept = await self._kept(tenant, system)
            if kept.definition.from_file and not from_file:
                raise SystemTaken(f"{system!r} is a source of the file of sources: take it out there")
            await self._store.remove(tenant, system)
            self._forget((tenant, system))

    async def refresh(self, tenant: str, system: str) -> tuple[Listed, Changes]:
        """Reads it anew, or at last if it waits; where it raises, what was read before stays.

        Raises `UnknownSource`, `SourceInvalid`, `SourceUnavailable`, `SystemTaken`, `StoreUnavailable`.
        """
        async with self._locks[tenant, system]:
            waiting = self._waiting.get((tenant, system))
            definition = waiting or (await self._kept(tenant, system)).definition
            before = self._specs(tenant, system)
            listed = await self._read_and_kept(definition)
            return listed, _changes(before, self._specs(tenant, system))

    async def answers(self, tenant: str, system: str) -> None:
        """Reads it and keeps nothing of that. Raises as `refresh`."""
        await self._maker.read((await self._kept(tenant, system)).definition)

    async def look(self) -> None:
        """Takes over what the store holds: at a start, and whenever another executor changed something. Nothing is
        read of a source. One that cannot be made into tools is listed with its fault, the others work.

        Raises `StoreUnavailable`.
        """
        seen = await self._store.version()
        if seen == self._seen:
            return
        versions = await self._store.versions()
        for key in sorted(self._versions.keys() | versions.keys()):
            if self._versions.get(key) != versions.get(key):
                await self._take_over(key)
        self._seen = seen

    async def follow(self, stop: asyncio.Event, *, seconds: float) -> None:
        """Looks every so many seconds until `stop` is set."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                try:
                    await self.look()
                except StoreUnavailable as error:
                    log.warning("sources not looked at", reason=str(error))

    async def has(self, definition: Definition) -> bool:
        """Whether this very definition is kept. Raises `StoreUnavailable`."""
        kept = await self._store.find(*definition.key)
        return kept is not None and kept.definition == definition

    async def from_file(self) -> list[Key]:
        """The sources that the file of sources defined. Raises `StoreUnavailable`."""
        return await self._store.from_file()

    def waits(self, definition: Definition, fault: str) -> None:
        """Lists a definition that is not in use; the tools that the source had before stay."""
        known = self._listed.get(definition.key) or Listed(*definition.key, definition.kind, definition.config_json)
        self._listed[definition.key] = replace(known, fault=fault)
        self._waiting[definition.key] = definition
        self._defined(definition)

    async def _kept(self, tenant: str, system: str) -> Stored:
        kept = await self._store.find(tenant, system)
        if kept is None:
            raise UnknownSource(f"tenant {tenant} has no source {system!r}; `factotum tools list --sources` shows all")
        return kept

    async def _read_and_kept(self, definition: Definition) -> Listed:
        self._catalog.check_free(definition.system)
        stored = Stored(definition, await self._maker.read(definition), self._now())
        offer = await self._maker.offer(stored)
        return self._put(await self._store.put(stored), offer)

    async def _take_over(self, key: Key) -> None:
        async with self._locks[key]:
            stored = await self._store.find(*key)
            if stored is None:
                self._forget(key)
                return
            if self._versions.get(key) == stored.version:
                return
            try:
                self._put(stored, await self._maker.offer(stored))
            except (SourceInvalid, SystemTaken) as error:
                self._left_out(stored, str(error))

    def _put(self, stored: Stored, offer: Offer) -> Listed:
        definition = stored.definition
        self._catalog.put(definition.tenant, offer, kind=definition.kind)
        self._defined(definition)
        self._versions[definition.key] = stored.version
        self._waiting.pop(definition.key, None)
        self._listed[definition.key] = listed = Listed(
            *definition.key,
            definition.kind,
            definition.config_json,
            tools=tuple(sorted(offer.connector.tools)),
            read_at=stored.read_at,
        )
        return listed

    def _left_out(self, stored: Stored, fault: str) -> None:
        definition = stored.definition
        tenant, system = key = definition.key
        log.error("source left out", tenant=tenant, system=system, reason=fault)
        self._catalog.take_out(tenant, system)
        self._defined(definition)
        self._versions[key] = stored.version
        self._listed[key] = Listed(
            tenant, system, definition.kind, definition.config_json, fault=fault, read_at=stored.read_at
        )

    def _forget(self, key: Key) -> None:
        self._versions.pop(key, None)
        self._listed.pop(key, None)
        self._waiting.pop(key, None)
        self._catalog.take_out(*key)
        self._catalog.defined(*key, None)

    def _defined(self, definition: Definition) -> None:
        try:
            config = from_json(definition.config_json or "{}")
        except ValueError:
            config = None
        self._catalog.defined(*definition.key, config)

    def _specs(self, tenant: str, system: str) -> dict[str, ToolSpec]:
        return {tool.spec.name: tool.spec for tool in self._catalog.tools(tenant) if tool.spec.system == system}


def check_definition(definition: Definition) -> None:
    """Raises `CallRefused`."""
    if not re.fullmatch(SYSTEM_PATTERN.strip("^$"), definition.system):
        raise CallRefused(f"system must match {SYSTEM_PATTERN}")
    if len(definition.document) + len(definition.config_json) > MOST_BYTES:
        raise CallRefused(f"document and config_json may have {MOST_BYTES // 2**20} MiB together")


def _changes(before: Mapping[str, ToolSpec], after: Mapping[str, ToolSpec]) -> Changes:
    return Changes(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    )
