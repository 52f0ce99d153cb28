"""Tools that are functions of Python: of modules that are installed, or lie in the folder of tools.

Such a module is code of this process. So nobody gives one over the wire: what can be asked for is that modules are
looked for anew, and that a tenant does not have a system, or has it again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from factotum.tool_executor import registry
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.registry import Module, Registry, Tried
from factotum.tool_executor.sources import aside
from factotum.tool_executor.sources.source import SourceInvalid
from factotum.tool_executor.sources.store import Definition, SourceStore
from factotum.tool_executor.tenants import Tenants

KIND = "python"
# Factotum's own connectors are no sources that somebody added.
_OWN = "factotum.connectors."


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


class Modules:
    """Imports modules, each on a thread of its own: one that takes too long is left out, and keeps no other waiting.

    A file of the folder is imported again when it has changed; a package that was changed needs a restart.

    Args:
        found: those there are now.
        seconds: how long importing one may take.
    """

    def __init__(self, found: Callable[[], Sequence[Module]], *, seconds: float) -> None:
        self._found = found
        self._seconds = seconds
        self._outcomes: dict[tuple[str, bytes], asyncio.Future[Tried]] = {}
        self._late: list[asyncio.Future[Tried]] = []

    @property
    def news(self) -> bool:
        """Whether one that had taken too long has been imported since."""
        return any(outcome.done() for outcome in self._late)

    async def loaded(self) -> Registry:
        outcomes: dict[tuple[str, bytes], asyncio.Future[Tried]] = {}
        told: list[tuple[Module, Tried]] = []
        self._late = []
        for module in await asyncio.to_thread(self._found):
            key = module.name, module.content
            known = self._outcomes.get(key)
            if known is None or (known.done() and isinstance(_outcome(known), str)):
                known = aside.begun(lambda module=module: registry.tried(module), name=module.name)  # type: ignore[misc]
            outcomes[key] = known
            await asyncio.wait({known}, timeout=self._seconds)
            if not known.done():
                self._late.append(known)
            told.append((module, _outcome(known) if known.done() else f"not imported within {self._seconds:g} s yet"))
        self._outcomes = outcomes
        return await asyncio.to_thread(registry.made, told)


def _outcome(done: asyncio.Future[Tried]) -> Tried:
    return str(done.exception()) if done.exception() is not None else done.result()


class PythonSources:
    """The systems of Python. Several executors with one store have what is removed in common, and look for modules when
    one of them was asked to.

    Args:
        settings: the tenants' settings of these connectors; raises `ConnectorsInvalid`.
    """

    def __init__(
        self, *, modules: Modules, settings: Callable[[Registry], Tenants], store: SourceStore, catalog: Catalog
    ) -> None:
        self._modules = modules
        self._settings = settings
        self._store = store
        self._catalog = catalog
        self._refreshes = -1
        self._one_at_a_time = asyncio.Lock()

    @property
    def news(self) -> bool:
        """Whether there is something to `look` at, whatever the store says."""
        return self._modules.news

    async def look(self) -> frozenset[str]:
        """Takes over what other executors were asked for; gives the systems that came or went.

        Raises `StoreUnavailable`, `ConnectorsInvalid`.
        """
        kept = await self._store.python()
        self._catalog.remove_installed(kept.removed)
        if kept.refreshes == self._refreshes and not self.news:
            return frozenset()
        changed = await self._load()
        self._refreshes = kept.refreshes
        return changed

    async def refresh(self) -> frozenset[str]:
        """As `look`, and lets the other executors do so. Where it raises, nothing is changed."""
        changed = await self._load()
        await self._store.python_refreshed()
        self._refreshes = (await self._store.python()).refreshes
        return changed

    def has(self, system: str) -> bool:
        return system in self._catalog.installed.connectors

    async def give(self, definition: Definition) -> Listed:
        """Lets the tenant have the system. Raises `SourceInvalid`, `StoreUnavailable`."""
        tenant, system = definition.key
        if not self.has(system):
            raise SourceInvalid(self._nowhere(system))
        await self._set(tenant, system, removed=False)
        return self.told(tenant, system)

    async def take(self, tenant: str, system: str) -> None:
        """Takes the system from the tenant. Raises `StoreUnavailable`."""
        await self._set(tenant, system, removed=True)

    def listed(self, tenant: str) -> list[Listed]:
        """Those that are not Factotum's own, those that the tenant does not have, and modules that cannot be used."""
        return [*self._listed(tenant)]

    def told(self, tenant: str, system: str) -> Listed:
        there = self._catalog.installed
        name = there.modules.get(system, "")
        config = json.dumps({"module": Path(name).name, "place": there.origin(system)})
        removed = self._catalog.has_removed(tenant, system)
        fault = f"removed for {tenant}: `factotum tools add python {system}` brings it back" if removed else ""
        tools = () if removed else tuple(sorted(there.connectors[system].tools))
        return Listed(tenant, system, KIND, config, tools=tools, fault=fault)

    def _listed(self, tenant: str) -> Iterator[Listed]:
        there = self._catalog.installed
        for system in there.connectors:
            if self._catalog.has_removed(tenant, system) or not there.modules.get(system, _OWN).startswith(_OWN):
                yield self.told(tenant, system)
        for name, fault in there.left_out.items():
            yield Listed(tenant, Path(name).name, KIND, json.dumps({"module": Path(name).name}), fault=fault)

    async def _load(self) -> frozenset[str]:
        async with self._one_at_a_time:
            there = await self._modules.loaded()
            settings = await asyncio.to_thread(self._settings, there)
            before = self._catalog.installed.connectors.keys()
            self._catalog.install(there, settings)
            return frozenset(before ^ there.connectors.keys())

    async def _set(self, tenant: str, system: str, *, removed: bool) -> None:
        await self._store.python_removed(tenant, system, removed=removed)
        self._catalog.remove_installed((await self._store.python()).removed)

    def _nowhere(self, system: str) -> str:
        there = self._catalog.installed
        faults = "".join(f"; {Path(name).name} cannot be used: {fault}" for name, fault in there.left_out.items())
        return (
            f"no module has the connector {system!r}, there are {', '.join(sorted(there.connectors))}{faults}. Install "
            "the package that has it, or put its file into FACTOTUM_TOOLS_FOLDER of the tool executor: code is not "
            "taken from here"
        )


def check(definition: Definition) -> None:
    """Raises `SourceInvalid` for a definition that holds more than a name."""
    if definition.document:
        raise SourceInvalid(
            "code is not taken from here: install the package, or put the file into FACTOTUM_TOOLS_FOLDER of the tool "
            "executor, then add the system by its name"
        )
    if definition.config_json.strip() not in ("", "{}"):
        raise SourceInvalid(
            "a system of Python is added by its name alone; a tenant's settings of it are in FACTOTUM_CONNECTORS_FILE"
        )
