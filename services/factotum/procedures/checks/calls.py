"""What calls are given, against what their tools and functions take: as far as it stands in the document."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from factotum.procedures import expressions, protocols, schemas
from factotum.procedures.checks import nearest, programs, references
from factotum.procedures.checks.scopes import Scoped, tasks
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document, Use
from factotum.procedures.tasks import CallTask, RunTask, Task

Json = Any


def faults(document: Document, catalog: references.Catalog) -> Iterator[Fault]:
    """The arguments that a schema refuses whatever the expressions in them give."""
    loose = document.evaluate.mode == "loose"
    for scoped in tasks(document):
        for given in arguments_of(scoped, document.use, catalog):
            yield from _refused(given, loose)


class Given:
    """What one call is given.

    Attributes:
        pointer: of the mapping in the document that holds the arguments.
        wanted: the JSON Schema that they must keep.
        by: the name of the tool or function.
    """

    def __init__(self, pointer: str, arguments: Mapping[str, Json], wanted: Mapping[str, Json], by: str) -> None:
        self.pointer, self.arguments, self.wanted, self.by = pointer, dict(arguments), dict(wanted), by


def arguments_of(scoped: Scoped, use: Use, catalog: references.Catalog) -> Iterator[Given]:
    """What a task's call and its compensation's are given, where a schema says what they take."""
    pointer, task = scoped.pointer, scoped.task
    if isinstance(task, CallTask):
        yield from _of_call(f"{pointer}/with", task.call, sent(task), use, catalog)
    elif isinstance(task, RunTask) and (spec := catalog.get(protocols.tool_of(task) or "")) is not None:
        yield Given(f"{pointer}/run/{spec.name.partition('.')[2]}", sent(task), spec.input_schema, spec.name)
    if (undo := task.compensate) is not None:
        yield from _of_call(f"{pointer}/metadata/compensate/with", undo.call, undo.with_, use, catalog)


def sent(task: Task) -> dict[str, Json]:
    """What a task sends to its tool, as it is written."""
    if isinstance(task, RunTask):
        process = task.run
        held = process.container or process.script or process.shell or {}
        return {**held, "return": process.return_}
    if not isinstance(task, CallTask):
        return {}
    if protocols.tool_of(task) == protocols.RECEIVE:
        kept = {name: value for name, value in task.with_.items() if name != "subscription"}
        return {**kept, "cursor": "", "max_messages": 1, "wait_seconds": 1}
    return task.with_


def _of_call(
    pointer: str, call: str, arguments: Mapping[str, Json], use: Use, catalog: references.Catalog
) -> Iterator[Given]:
    if (function := use.functions.get(call)) is not None:
        schema = function.input.schema_
        if schema is not None and schema.document is not None and schemas.fault_of(schema.document) is None:
            yield Given(pointer, arguments, schema.document, call)
        return
    tool = references.tool_of_call(call)
    if call == protocols.ASYNCAPI and "cursor" in arguments:
        tool = protocols.RECEIVE
    if (spec := catalog.get(tool or "")) is not None:
        yield Given(pointer, references.policies_in(arguments, use), spec.input_schema, spec.name)


def _refused(given: Given, loose: bool) -> Iterator[Fault]:
    try:
        unknown = {path for path, _ in expressions.programs_in(given.arguments)}
    except expressions.ExpressionError:
        return  # reported as an expression
    if loose:
        unknown |= {path for path, _ in programs.texts(given.arguments)}
    validator = Draft202012Validator(given.wanted, registry=schemas.NOTHING_REMOTE)
    for error in validator.iter_errors(given.arguments):
        at = "".join(f"/{expressions.escape(str(token))}" for token in error.absolute_path)
        if error.validator == "additionalProperties" and error.validator_value is False:
            yield from _not_taken(given, at, error)
        elif error.validator == "required" or not _touches(at, unknown):
            # Of alternatives that all refuse, the one that was probably meant says why.
            meant = best_match([error]) or error
            where = "".join(f"/{expressions.escape(str(token))}" for token in meant.absolute_path)
            yield Fault(given.pointer + where, f"`{given.by}`: {meant.message}", _wanted(meant))


def _not_taken(given: Given, at: str, error: ValidationError) -> Iterator[Fault]:
    schema = _schema_of(error)
    known = schema.get("properties", {})
    taken = f"It takes {', '.join(known)}" if known else "It takes nothing"
    instance: Any = error.instance
    for name in sorted(name for name in instance if name not in known):
        if any(re.search(pattern, name) for pattern in schema.get("patternProperties", {})):
            continue
        close = nearest.among(name, known)
        advice = f"{close} {taken}" if close.startswith("Did") else taken
        yield Fault(f"{given.pointer}{at}/{expressions.escape(name)}", f"`{given.by}` takes no `{name}`", advice)


def _touches(pointer: str, unknown: set[str]) -> bool:
    return any(path == pointer or path.startswith(f"{pointer}/") for path in unknown)


def _wanted(error: ValidationError) -> str:
    """What would be right, in a few words."""
    schema = _schema_of(error)
    if error.validator == "required":
        instance: Any = error.instance
        missing = [name for name in schema["required"] if name not in instance]
        return f"Give it {', '.join(f'`{name}`' for name in missing)}"
    if "enum" in schema:
        choices = [str(choice) for choice in schema["enum"]]
        return nearest.among(str(error.instance), choices)
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return f"It must be of type {' or '.join(map(str, kinds))}"
    return ""


def _schema_of(error: ValidationError) -> Mapping[str, Any]:
    return error.schema if isinstance(error.schema, Mapping) else {}
