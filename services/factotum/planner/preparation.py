"""From a procedure to what a run of it needs: resolved, checked, with its tools pinned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from factotum.planner.catalog import ToolCatalog
from factotum.planner.fetching import Fetching
from factotum.planner.resolution import Resolved, resolve
from factotum.procedures import protocols
from factotum.procedures.check import Catalog, called_tools, check
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.parse import Source
from factotum.procedures.planned_calls import PlannedCall, planned_calls
from factotum.workflows.contract import EventReference, Limits, RunInput, ToolPin

Json = Any

MOST_KEPT = 2_000
# How long a worker may be at a light call by itself; see decision 0022.
HERE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that a procedure may make.

    Attributes:
        pointer: the place in the first document that leads to it.
        prefix: what is said before a fault of it: of which other procedure it is.
        procedure: namespace/name of what makes it.
    """

    pointer: str
    prefix: str
    procedure: str
    call: PlannedCall


@dataclass(frozen=True, slots=True)
class Prepared:
    """A procedure that may run.

    Attributes:
        documents, functions, tools, limits: as in `RunInput`.
        uses: every procedure of the library that a run of it may start, itself included.
        calls: what it and those may call.
    """

    source: Source
    tools: dict[str, ToolPin]
    documents: dict[str, dict[str, Json]] = field(default_factory=dict)
    functions: dict[str, dict[str, Json]] = field(default_factory=dict)
    uses: tuple[Source, ...] = ()
    calls: tuple[Asked, ...] = ()
    limits: Limits = field(default_factory=lambda: Limits(here_seconds=HERE_SECONDS))

    def run(
        self, *, tenant: str, given: Json, event: EventReference | None = None, hops: int = 0, user: str = ""
    ) -> RunInput:
        """The input of a run that is given `given`; `user` is the person that it acts for."""
        return RunInput(
            tenant=tenant,
            document=self.source.raw,
            input=given,
            event=event or EventReference(),
            tools=self.tools,
            documents=self.documents,
            functions=self.functions,
            limits=self.limits,
            hops=hops,
            user=user,
        )


@dataclass(frozen=True, slots=True)
class _Kept:
    given: Source
    resolved: Resolved
    names: frozenset[str]
    catalog: Catalog
    prepared: Prepared

    @property
    def needs_nothing(self) -> bool:
        return self.resolved.source is self.given and not (self.resolved.documents or self.resolved.functions)


class Preparation:
    """Prepares procedures against the tools and the library of a tenant.

    What was checked is kept: a check takes a hundred times as long as to see that nothing has changed.

    Args:
        moved_bytes: as in `Limits`.
    """

    def __init__(self, *, catalog: ToolCatalog, fetching: Fetching, moved_bytes: int = 0) -> None:
        self._catalog = catalog
        self._fetching = fetching
        self._limits = Limits(here_seconds=HERE_SECONDS, moved_bytes=moved_bytes)
        self._kept: dict[tuple[str, str, str], _Kept] = {}

    async def prepare(self, tenant: str, source: Source) -> Prepared:
        """Raises `FaultyDocument` if it may not run; of what passes, `CatalogUnavailable`, `StoreUnavailable`."""
        key = tenant, source.document.full_name, source.document.document.version
        kept = self._kept.get(key)
        if kept is not None and kept.given is not source:
            kept = None
        if kept is not None and kept.needs_nothing and kept.catalog == await self._catalog.get(tenant, kept.names):
            return kept.prepared
        resolved = await resolve(source, self._fetching.of(tenant))
        names = needed_tools(resolved)
        catalog = await self._catalog.get(tenant, names)
        if kept is None or kept.resolved != resolved or kept.catalog != catalog:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            found = replace(await self._checked(tenant, resolved, catalog), limits=self._limits)
            kept = self._kept[key] = _Kept(source, resolved, names, catalog, found)
        return kept.prepared

    async def _checked(self, tenant: str, resolved: Resolved, catalog: Catalog) -> Prepared:
        try:
            return prepared(resolved, catalog)
        except FaultyDocument:
            # The advice of a fault names other tools that there are.
            return prepared(resolved, {**await self._catalog.listed(tenant), **catalog})


def needed_tools(resolved: Resolved) -> frozenset[str]:
    """The names of all tools that a check of it looks for."""
    parts = (resolved.source, *(found for _, found in (*resolved.procedures, *resolved.functions_as)))
    names = {name for part in parts for name in called_tools(part.document)}
    # Which of the two is meant stands in the arguments.
    return frozenset(names | ({protocols.RECEIVE} if protocols.PUBLISH in names else set()))


def prepared(resolved: Resolved, catalog: Catalog) -> Prepared:
    """Raises `FaultyDocument` if it, or something that it needs, does not pass its check."""
    source = resolved.source
    faults = check(source, catalog)
    for origin, needed in resolved.procedures:
        header = needed.document.document
        label = f"{needed.document.full_name} {header.version}"
        faults += [source.locate(Fault(origin, f"{label}: {fault}")) for fault in check(needed, catalog)]
    for origin, needed in resolved.functions_as:
        call = needed.document.document.title
        # What it is given to use is the caller's, and was checked there.
        own = (fault for fault in check(needed, catalog) if fault.pointer.startswith("/do"))
        faults += [source.locate(Fault(origin, f"`{call}`: {fault}")) for fault in own]
    if faults:
        raise FaultyDocument(faults)
    procedures = [needed for _, needed in resolved.procedures]
    functions = [needed for _, needed in resolved.functions_as]
    return Prepared(
        source,
        pins([found.document for found in (source, *procedures, *functions)], catalog),
        documents=resolved.documents,
        functions=resolved.functions,
        uses=(source, *procedures),
        calls=tuple(_calls(resolved)),
    )


def own_calls(source: Source) -> list[Asked]:
    """Those of the document itself."""
    document = source.document
    return [Asked(call.pointer, "", document.full_name, call) for call in planned_calls(source)]


def _calls(resolved: Resolved) -> Iterator[Asked]:
    """Not those of functions that lie elsewhere, which any of the procedures may call: policy is asked at the call."""
    yield from own_calls(resolved.source)
    for origin, needed in resolved.procedures:
        name = needed.document.full_name
        for call in planned_calls(needed):
            yield Asked(origin, f"{name} {needed.document.document.version}: {call.pointer}: ", name, call)


def pins(documents: Iterable[Document], catalog: Catalog) -> dict[str, ToolPin]:
    """What is kept of each tool that the documents may call."""
    names = sorted({name for document in documents for name in called_tools(document)} & set(catalog))
    return {
        name: ToolPin(version=spec.version, timeout_seconds=spec.timeout_seconds, effect=spec.effect.value)
        for name in names
        if (spec := catalog[name])
    }
