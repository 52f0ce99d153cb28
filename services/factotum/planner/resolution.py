"""What a procedure needs from elsewhere, brought in before it runs: procedures, functions, schemas.

It travels in the run's input, so that nothing that changes elsewhere changes a run.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from factotum.planner import catalog_addresses
from factotum.procedures import protocols, schemas
from factotum.procedures.checks.scopes import iterator_of, tasks
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.parse import Source, parse_raw
from factotum.procedures.shapes import Endpoint, Schema
from factotum.procedures.tasks import CallTask, RunTask, RunWorkflow

Json = Any

# Procedures that start procedures, and functions that call functions: so deep, and so many in all.
MAX_DEPTH = 16
MAX_PARTS = 200
LATEST = "latest"
DEFAULT_CATALOG = "default"


class Unreachable(Exception):
    """Something cannot be had; the message says what and why. It is the document's fault, or its author's to mend."""


class Fetch(Protocol):
    """Where documents come from. May raise, besides `Unreachable`, what passes by itself."""

    async def procedure(self, name: str, version: str) -> Source:
        """One of namespace/name; an empty version is the newest. Raises `Unreachable`."""

    async def document(self, uri: str, authentication: Json) -> Json:
        """What lies at an address, read as YAML or JSON. Raises `Unreachable`."""


@dataclass(slots=True)
class Resolved:
    """A procedure with all that it needs.

    Attributes:
        source: with every external schema in its place.
        documents, functions: as in `RunInput`.
        procedures: those behind `documents`, and the place in the first document that leads to each.
        functions_as: each function as a document of its own that can be checked, likewise.
    """

    source: Source
    documents: dict[str, dict[str, Json]] = field(default_factory=dict)
    functions: dict[str, dict[str, Json]] = field(default_factory=dict)
    procedures: list[tuple[str, Source]] = field(default_factory=list)
    functions_as: list[tuple[str, Source]] = field(default_factory=list)


async def resolve(source: Source, fetch: Fetch) -> Resolved:
    """Raises `FaultyDocument` with everything that could not be had, at the place that asks for it."""
    work = _Resolution(fetch, Resolved(source))
    embedded = await work.document(source, "", (_label(source.document),))
    if work.faults:
        raise FaultyDocument([source.locate(fault) for fault in work.faults])
    work.found.source = embedded
    return work.found


class _Resolution:
    def __init__(self, fetch: Fetch, found: Resolved) -> None:
        self._fetch = fetch
        self.faults: list[Fault] = []
        self.found = found
        # Where the function of each call text lies: two documents may give one text two meanings.
        self._addresses: dict[str, str] = {}

    async def document(self, source: Source, origin: str, path: tuple[str, ...]) -> Source:
        """The document with its schemas in place; what it needs is added to `found`.

        Args:
            origin: the place in the first document that led here; empty: this is the first.
            path: the names that led here.
        """
        embedded = await self._with_schemas(source, origin)
        for scoped in tasks(embedded.document):
            pointer, task = scoped.pointer, scoped.task
            if isinstance(task, RunTask) and (wanted := task.run.workflow) is not None:
                await self._procedure(wanted, origin or f"{pointer}/run/workflow", path)
            if isinstance(task, CallTask):
                await self._function(task.call, embedded, origin or f"{pointer}/call", path)
            if (undo := task.compensate) is not None:
                await self._function(undo.call, embedded, origin or f"{pointer}/metadata/compensate/call", path)
        return embedded

    async def _procedure(self, wanted: RunWorkflow, origin: str, path: tuple[str, ...]) -> None:
        name, version = f"{wanted.namespace}/{wanted.name}", wanted.version
        try:
            source = await self._fetch.procedure(name, "" if version == LATEST else version)
        except Unreachable as error:
            return self._fault(origin, str(error), "`factotum procedures list` shows what there is")
        label = _label(source.document)
        if self._leads_back(label, origin, path) or wanted.reference in self.found.documents:
            return None
        if self._is_too_much(origin, path):
            return None
        self.found.documents[wanted.reference] = source.raw
        embedded = await self.document(source, origin, (*path, label))
        self.found.documents[wanted.reference] = embedded.raw
        self.found.procedures.append((origin, embedded))
        return None

    async def _function(self, call: str, source: Source, origin: str, path: tuple[str, ...]) -> None:
        try:
            where = _address(call, source.document)
        except Unreachable as error:
            return self._fault(origin, str(error))
        if where is None:
            return None
        uri, authentication = where
        if self._leads_back(call, origin, path):
            return None
        if call in self._addresses:
            if self._addresses[call] != uri:
                self._fault(
                    origin, f"`{call}` means {uri} here and {self._addresses[call]} elsewhere", "Rename one catalog"
                )
            return None
        if self._is_too_much(origin, path):
            return None
        self._addresses[call] = uri
        try:
            found = await self._fetch.document(uri, authentication)
            function = _as_document(call, found, source)
        except Unreachable as error:
            return self._fault(origin, str(error))
        except FaultyDocument as error:
            return self._fault(origin, f"`{call}` at {uri} is no function: {error}")
        embedded = await self.document(function, origin, (*path, call))
        self.found.functions[call] = embedded.raw["do"][0][_FUNCTION]
        self.found.functions_as.append((origin, embedded))
        return None

    async def _with_schemas(self, source: Source, origin: str) -> Source:
        external = [(at, schema) for at, schema in _schemas(source.document) if schema.resource is not None]
        if not external:
            return source
        raw = copy.deepcopy(source.raw)
        for pointer, schema in external:
            resource = schema.resource
            if resource is None:
                continue
            place = origin or f"{pointer}/resource"
            try:
                authentication = _authentication(resource.endpoint, source.document)
                document = await self._fetch.document(resource.uri, authentication)
            except Unreachable as error:
                self._fault(place, str(error))
                continue
            if not isinstance(document, dict) or (message := schemas.fault_of(document)) is not None:
                why = message if isinstance(document, dict) else "it must be an object"
                self._fault(place, f"what lies at {resource.uri} cannot be used: {why}")
                continue
            _replace(raw, pointer, {"format": schema.format, "document": document})
        return source if self.faults else parse_raw(raw, source.places)

    def _leads_back(self, label: str, origin: str, path: tuple[str, ...]) -> bool:
        if label not in path:
            return False
        circle = " → ".join((*path[path.index(label) :], label))
        self._fault(origin, f"this leads back to where it came from: {circle}", "Use `for` to repeat something")
        return True

    def _is_too_much(self, origin: str, path: tuple[str, ...]) -> bool:
        if len(path) > MAX_DEPTH:
            self._fault(origin, f"procedures and functions are nested deeper than {MAX_DEPTH}: {' → '.join(path)}")
            return True
        if len(self.found.documents) + len(self._addresses) >= MAX_PARTS:
            self._fault(origin, f"more than {MAX_PARTS} procedures and functions are needed")
            return True
        return False

    def _fault(self, pointer: str, message: str, advice: str = "") -> None:
        self.faults.append(Fault(pointer, message, advice))


# The name of the one task of a document that stands for a function.
_FUNCTION = "function"


def _as_document(call: str, found: Json, source: Source) -> Source:
    """A function as a document with the `use` of the one that calls it. Raises `FaultyDocument`."""
    header = {**source.raw["document"], "title": call, "name": _FUNCTION}
    made = {"document": header, "do": [{_FUNCTION: found}]}
    for shared in ("use", "evaluate"):
        if shared in source.raw:
            made[shared] = source.raw[shared]
    return parse_raw(made)


def _address(call: str, document: Document) -> tuple[str, Json] | None:
    """Where a called function lies, and how to be let in; None if it is a tool or the document's own.

    Raises `Unreachable`.
    """
    if call in document.use.functions:
        return None
    cataloged = catalog_addresses.parts(call)
    if cataloged is None:
        return (catalog_addresses.of_url(call), None) if "://" in call else None
    name, version, catalog = cataloged
    found = document.use.catalogs.get(catalog)
    if found is None:
        if catalog == DEFAULT_CATALOG and protocols.tool_named(name) is not None:
            return None
        what = "no function but the tools" if catalog == DEFAULT_CATALOG else f"no catalog `{catalog}` for"
        raise Unreachable(f"there is {what} `{call}`")
    return catalog_addresses.of_function(found.resource.uri, name, version), _authentication(found.endpoint, document)


def _authentication(endpoint: str | Endpoint, document: Document) -> Json:
    """The policy, as the tools take it. Raises `Unreachable` for one that only a run could evaluate."""
    if isinstance(endpoint, str) or endpoint.authentication is None:
        return None
    policy = endpoint.authentication
    if policy.use is not None:
        policy = document.use.authentications.get(policy.use, policy)
    found = policy.model_dump(exclude_none=True)
    if "${" in repr(found):
        raise Unreachable(f"{endpoint.uri} is fetched before the run, where no expression can be evaluated")
    return found


def _schemas(document: Document) -> Iterator[tuple[str, Schema]]:
    """Every schema with its pointer."""
    places = [("/input/schema", document.input.schema_), ("/output/schema", document.output.schema_)]
    for scoped in tasks(document):
        at, task = scoped.pointer, scoped.task
        places += [
            (f"{at}/input/schema", task.input.schema_),
            (f"{at}/output/schema", task.output.schema_),
            (f"{at}/export/schema", task.export.schema_),
        ]
        if (iterator := iterator_of(task)) is not None:
            relative, each = iterator
            places += [
                (f"{at}{relative}/output/schema", each.output.schema_),
                (f"{at}{relative}/export/schema", each.export.schema_),
            ]
    for pointer, schema in places:
        if schema is not None:
            yield pointer, schema


def _replace(raw: Json, pointer: str, value: Json) -> None:
    *above, last = (token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:])
    for token in above:
        raw = raw[int(token)] if isinstance(raw, list) else raw[token]
    raw[last] = value


def _label(document: Document) -> str:
    return f"{document.full_name} {document.document.version}"
