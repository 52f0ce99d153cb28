"""How a tenant's sources come and go: read, made into tools, kept and put into the catalog, all of it or nothing.

What was read before makes the tools at a start, so that a source that is away then is not missed.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from pydantic_core import from_json

from factotum.sdk.spec import SYSTEM_PATTERN, ToolSpec
from factotum.tool_executor.catalog import Catalog, SystemTaken
from factotum.tool_executor.errors import CallRefused, ConnectorsInvalid
from factotum.tool_executor.sources import python
from factotum.tool_executor.sources.making import Maker
from factotum.tool_executor.sources.python import Listed, PythonSources
from factotum.tool_executor.sources.source import Offer, SourceInvalid
from factotum.tool_executor.sources.store import Definition, Key, SourceStore, Stored, StoreUnavailable, UnknownSource

log = structlog.get_logger(__name__)

# A source's document and its configuration together.
MOST_BYTES = 32 * 1024 * 1024
# Seconds that who refreshes the systems of Python waits for sources that had one of their names.
_SETTLING = 1.0


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of tools that came, went, or have another contract now."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


class Sources:
    """The sources of all tenants. Several executors may have them in one store."""

    def __init__(
        self, *, maker: Maker, store: SourceStore, catalog: Catalog, python: PythonSources, now: Callable[[], datetime]
    ) -> None:
        self._maker = maker
        self._store = store
        self._catalog = catalog
        self._python = python
        self._now = now
        self._seen = -1
        self._versions: dict[Key, int] = {}
        self._listed: dict[Key, Listed] = {}
        self._waiting: dict[Key, Definition] = {}
        self._locks: defaultdict[Key, asyncio.Lock] = defaultdict(asyncio.Lock)
        # What is being taken over, with the version that was seen.
        self._under_way: dict[Key, tuple[int | None, asyncio.Task[None]]] = {}

    async def aclose(self) -> None:
        """Gives up what is still being made."""
        tasks = [task for _, task in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def listed(self, tenant: str) -> list[Listed]:
        """By system, those of Python last. Raises `ToolComing`."""
        self._catalog.check_there(tenant, frozenset())
        return [self._listed[key] for key in sorted(self._listed) if key[0] == tenant] + self._python.listed(tenant)

    async def add(self, definition: Definition) -> Listed:
        """Its tools are in the catalog when this returns; where it raises, nothing is changed.

        Raises `CallRefused`, `SourceInvalid`, `SourceUnavailable`, `SystemTaken`, `StoreUnavailable`.
        """
        check_definition(definition)
        if definition.kind == python.KIND:
            python.check(definition)
            if not self._python.has(definition.system):
                await self._refresh_python()
            return await self._python.give(definition)
        async with self._locks[definition.key]:
            kept = await self._store.find(*definition.key)
            if kept is not None and kept.definition.from_file and not definition.from_file:
                raise SystemTaken(f"{definition.system!r} is a source of the file of sources: change it there")
            return await self._read_and_kept(definition)

    async def remove(self, tenant: str, system: str, *, from_file: bool = False) -> None:
        """Calls under way go to their end. Raises `UnknownSource`, `SystemTaken`, `StoreUnavailable`."""
        is_python = self._python.has(system) and not self._catalog.has_removed(tenant, system)
        if is_python and (tenant, system) not in self._versions:
            await self._python.take(tenant, system)
            return
        async with self._locks[tenant, system]:
            kept = await self._kept(tenant, system)
            if kept.definition.from_file and not from_file:
                raise SystemTaken(f"{system!r} is a source of the file of sources: take it out there")
            await self._store.remove(tenant, system)
            self._forget((tenant, system))

    async def refresh(self, tenant: str, system: str) -> tuple[Listed, Changes]:
        """Reads it anew, or at last if it waits; where it raises, what was read before stays. Of Python, all modules
        are looked for anew; without a system, that alone.

        Raises `UnknownSource`, `SourceInvalid`, `SourceUnavailable`, `SystemTaken`, `StoreUnavailable`.
        """
        if not system or (self._python.has(system) and (tenant, system) not in self._versions):
            return await self._python_refreshed(tenant, system)
        async with self._locks[tenant, system]:
            waiting = self._waiting.get((tenant, system))
            definition = waiting or (await self._kept(tenant, system)).definition
            before = self._specs(tenant, system)
            listed = await self._read_and_kept(definition)
            return listed, await asyncio.to_thread(_changes, before, self._specs(tenant, system))

    async def answers(self, tenant: str, system: str) -> None:
        """Reads it and keeps nothing of that. Raises as `refresh`."""
        await self._maker.read((await self._kept(tenant, system)).definition)

    async def look(self, *, seconds: float | None = None) -> None:
        """Takes over what the store holds: at a start, and whenever another executor changed something. Nothing is
        read of a source. One that cannot be made into tools is listed with its fault, the others work.

        Args:
            seconds: how long tools that are being made are waited for; then they are there when they are made.

        Raises `StoreUnavailable`, `ConnectorsInvalid`.
        """
        seen = await self._store.version()
        if seen == self._seen and not self._python.news:
            return
        self._look_again(await self._python.look())
        versions = await self._store.versions()
        changed = [
            key
            for key in sorted(self._versions.keys() | versions.keys())
            if self._versions.get(key) != versions.get(key)
        ]
        taking = {self._taken_over(key, versions.get(key)) for key in changed}
        self._catalog.completed()
        if taking:
            done, _ = await asyncio.wait(taking, timeout=seconds)
            for task in done:
                task.result()
        self._seen = seen

    async def follow(self, stop: asyncio.Event, *, seconds: float) -> None:
        """Looks every so many seconds until `stop` is set."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await stop.wait()
            except TimeoutError:
                try:
                    await self.look(seconds=seconds)
                except (StoreUnavailable, ConnectorsInvalid) as error:
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

    def _taken_over(self, key: Key, version: int | None) -> asyncio.Task[None]:
        """The task that takes over what the store had at this version, or that it is gone."""
        known = self._under_way.get(key)
        if known is not None and known[0] == version:
            return known[1]
        if version is not None:
            self._catalog.come(*key)
            self._listed.setdefault(key, Listed(*key, "", "{}", fault="its tools are being made"))
        task = asyncio.create_task(self._take_over(key))
        self._under_way[key] = version, task

        def ended(_: asyncio.Task[None]) -> None:
            if self._under_way.get(key) == (version, task):
                del self._under_way[key]
                self._catalog.came(*key)
            if not task.cancelled() and task.exception() is not None:
                # It is looked at again, whoever waited for it.
                self._seen = -1

        task.add_done_callback(ended)
        return task

    async def _take_over(self, key: Key) -> None:
        stored = await self._store.find(*key)
        if stored is None:
            async with self._locks[key]:
                if await self._store.find(*key) is None:
                    self._forget(key)
            return
        offer, fault = None, ""
        try:
            offer = await self._maker.offer(stored, patiently=True)
        except SourceInvalid as error:
            fault = str(error)
        async with self._locks[key]:
            if (await self._store.versions()).get(key) != stored.version:
                self._seen = -1
            elif self._versions.get(key) != stored.version:
                self._settle(stored, offer, fault)

    def _settle(self, stored: Stored, offer: Offer | None, fault: str) -> None:
        if offer is not None:
            try:
                self._put(stored, offer)
                return
            except SystemTaken as error:
                fault = str(error)
        self._left_out(stored, fault)

    async def _refresh_python(self) -> None:
        self._look_again(await self._python.refresh())
        await self.look(seconds=_SETTLING)

    def _look_again(self, systems: frozenset[str]) -> None:
        """Of these a source may have the name of one of Python's now, or not any more."""
        for key in self._versions:
            if key[1] in systems:
                self._versions[key] = self._seen = -1

    async def _python_refreshed(self, tenant: str, system: str) -> tuple[Listed, Changes]:
        before = self._python_specs(tenant, system)
        await self._refresh_python()
        after = self._python_specs(tenant, system)
        if system and self._python.has(system):
            listed = self._python.told(tenant, system)
        else:
            listed = Listed(tenant, system, python.KIND, "{}", tools=tuple(sorted(after)))
        return listed, await asyncio.to_thread(_changes, before, after)

    def _python_specs(self, tenant: str, system: str) -> dict[str, ToolSpec]:
        systems = {system} if system else self._catalog.installed.connectors.keys()
        tools = self._catalog.tools(tenant)
        return {tool.spec.name: tool.spec for tool in tools if tool.spec.system in systems}

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
        changed=tuple(sorted(_changed(before, after))),
    )


def _changed(before: Mapping[str, ToolSpec], after: Mapping[str, ToolSpec]) -> Iterator[str]:
    # Tools of one document share what stands under $defs, which is compared once. Both outlive this: no other object
    # comes to have their ids.
    same: dict[tuple[int, int], bool] = {}
    for name in before.keys() & after.keys():
        one, other = before[name], after[name]
        if _bare(one) != _bare(other):
            yield name
            continue
        for shared, others in zip(_shared(one), _shared(other), strict=True):
            pair = id(shared), id(others)
            if pair not in same:
                same[pair] = shared == others
            if not same[pair]:
                yield name
                break


def _bare(spec: ToolSpec) -> ToolSpec:
    schemas = ({k: v for k, v in s.items() if k != "$defs"} for s in (spec.input_schema, spec.output_schema))
    return spec.model_copy(update=dict(zip(("input_schema", "output_schema"), schemas, strict=True)))


def _shared(spec: ToolSpec) -> tuple[Any, ...]:
    return spec.input_schema.get("$defs"), spec.output_schema.get("$defs")
