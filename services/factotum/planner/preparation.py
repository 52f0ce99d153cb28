"""From a procedure to what a run of it needs: checked, with its tools pinned."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from factotum.planner.catalog import ToolCatalog
from factotum.procedures.check import Catalog, called_tools, check
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.parse import Source
from factotum.workflows.contract import EventReference, RunInput, ToolPin

Json = Any


@dataclass(frozen=True, slots=True)
class Prepared:
    """A procedure that may run.

    Attributes:
        documents, functions, tools: as in `RunInput`.
        uses: every procedure of the library that a run of it may start, itself included.
    """

    source: Source
    tools: dict[str, ToolPin]
    documents: dict[str, dict[str, Json]] = field(default_factory=dict)
    functions: dict[str, dict[str, Json]] = field(default_factory=dict)
    uses: tuple[Source, ...] = ()

    def run(self, *, tenant: str, given: Json, event: EventReference | None = None, hops: int = 0) -> RunInput:
        """The input of a run that is given `given`."""
        return RunInput(
            tenant=tenant,
            document=self.source.raw,
            input=given,
            event=event or EventReference(),
            tools=self.tools,
            documents=self.documents,
            functions=self.functions,
            hops=hops,
        )


class Preparation:
    """Prepares procedures against the tools of a tenant."""

    def __init__(self, *, catalog: ToolCatalog) -> None:
        self._catalog = catalog

    async def prepare(self, tenant: str, source: Source) -> Prepared:
        """Raises `FaultyDocument` if it may not run, `CatalogUnavailable`."""
        return prepared(source, await self._catalog.get(tenant))


def prepared(source: Source, catalog: Catalog) -> Prepared:
    """Raises `FaultyDocument` if it does not pass its check."""
    faults = check(source, catalog)
    if faults:
        raise FaultyDocument(faults)
    return Prepared(source, pins([source.document], catalog), uses=(source,))


def pins(documents: Iterable[Document], catalog: Catalog) -> dict[str, ToolPin]:
    """What is kept of each tool that the documents may call."""
    names = sorted({name for document in documents for name in called_tools(document)} & set(catalog))
    return {
        name: ToolPin(version=spec.version, timeout_seconds=spec.timeout_seconds, effect=spec.effect.value)
        for name in names
        if (spec := catalog[name])
    }
