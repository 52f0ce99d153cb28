"""What is wrong with a part of a task, a policy or a schedule taken by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from factotum.procedures import schemas, timing
from factotum.procedures.checks.scopes import RESERVED, Scoped, binds, iterator_of, tasks
from factotum.procedures.duration import Duration
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document
from factotum.procedures.retries import Retry
from factotum.procedures.shapes import Schema
from factotum.procedures.tasks import CallTask, ForkTask, TryTask, children

Json = Any

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXPANSION = re.compile(r"[^{}\s]+")
# Where a call's arguments have a URI, besides every `endpoint` and `uri`.
_URIS = ("endpoint", "uri")


def faults(document: Document) -> Iterator[Fault]:
    """The faults of schedules, schemas, bound names, retry policies and addresses."""
    if document.schedule is not None:
        yield from timing.faults(document.schedule)
    yield from _schema("/input/schema", document.input.schema_)
    yield from _schema("/output/schema", document.output.schema_)
    for name, retry in document.use.retries.items():
        yield from _retry(f"/use/retries/{escape(name)}", retry)
    for name, catalog in document.use.catalogs.items():
        yield from _addresses(f"/use/catalogs/{escape(name)}", catalog.model_dump())
    for scoped in tasks(document):
        yield from _of_task(scoped)


def _of_task(scoped: Scoped) -> Iterator[Fault]:
    pointer, task = scoped.pointer, scoped.task
    yield from _schema(f"{pointer}/input/schema", task.input.schema_)
    yield from _schema(f"{pointer}/output/schema", task.output.schema_)
    yield from _schema(f"{pointer}/export/schema", task.export.schema_)
    if (found := iterator_of(task)) is not None:
        relative, each = found
        yield from _schema(f"{pointer}{relative}/output/schema", each.output.schema_)
        yield from _schema(f"{pointer}{relative}/export/schema", each.export.schema_)
    for name in sorted({name for relative, _ in children(task) for name in binds(task, relative)}):
        if name in RESERVED:
            yield Fault(pointer, f"`{name}` is the name of an argument of every expression", "Bind another name")
        elif _VARIABLE.fullmatch(name) is None:
            yield Fault(pointer, f"`{name}` cannot be the name of a variable", "Letters, digits and `_` make one")
    if isinstance(task, TryTask) and isinstance(task.catch.retry, Retry):
        yield from _retry(f"{pointer}/catch/retry", task.catch.retry)
    if isinstance(task, ForkTask) and task.fork.compete and not task.fork.branches:
        yield Fault(f"{pointer}/fork/branches", "without a branch none can win", "Add one, or take out `compete`")
    if isinstance(task, CallTask):
        yield from _addresses(f"{pointer}/with", task.with_)


def _schema(pointer: str, schema: Schema | None) -> Iterator[Fault]:
    """One that lies elsewhere is resolved, and judged, when the run is planned."""
    if schema is None or schema.document is None:
        return
    if (message := schemas.fault_of(schema.document)) is not None:
        yield Fault(f"{pointer}/document", message, "See JSON Schema 2020-12")


def _retry(pointer: str, retry: Retry) -> Iterator[Fault]:
    jitter = retry.jitter
    if jitter is None or not isinstance(jitter.from_, Duration) or not isinstance(jitter.to, Duration):
        return
    if _length(jitter.from_) > _length(jitter.to):
        yield Fault(f"{pointer}/jitter/from", "`from` is longer than `to`", "A delay is made longer by `from` to `to`")


def _length(duration: Duration) -> float:
    """About so many seconds."""
    return duration.total_seconds + (duration.years * 12 + duration.months) * 30.44 * 86400


def _addresses(pointer: str, value: Json) -> Iterator[Fault]:
    """The faults of the URI templates in what a call is given."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{pointer}/{escape(str(name))}"
            if name in _URIS and isinstance(inner, str):
                yield from _address(below, inner)
            elif name not in ("body", "payload", "parameters", "arguments"):
                yield from _addresses(below, inner)


def _address(pointer: str, text: str) -> Iterator[Fault]:
    """Source: DSL 1.0.3, "URI Template": `{name}`, taken verbatim from the task's input."""
    if "${" in text:
        return
    advice = "Write `{name}` for a property of the task's input, or an expression in `${ }`"
    rest = text
    while "{" in rest or "}" in rest:
        before, _, rest = rest.partition("{")
        inside, closed, rest = rest.partition("}")
        if "}" in before or not closed:
            yield Fault(pointer, f"the braces of `{text}` do not match", advice)
            return
        if _EXPANSION.fullmatch(inside) is None:
            yield Fault(pointer, f"`{{{inside}}}` is no name in `{text}`", advice)
            return
