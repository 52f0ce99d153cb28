"""The calls of tools that stand in a document, as far as it can be read from it what they will be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from factotum.procedures import expressions, protocols
from factotum.procedures.checks import references
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.given_secrets import GivenSecrets, given_secrets, unknown_secrets
from factotum.procedures.model import Use
from factotum.procedures.parse import Source
from factotum.procedures.tasks import CallTask, RunTask

Json = Any


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that a run may make.

    Attributes:
        pointer: of the task, or of its compensation, that makes it.
        arguments: as they are written; None where they tell nothing of what the tool is given.
        unknown: JSON pointers into them, of what is an expression.
        secrets: those of the document that the call is given.
    """

    pointer: str
    tool: str
    arguments: Mapping[str, Json] | None = None
    unknown: tuple[str, ...] = ()
    secrets: GivenSecrets = field(default_factory=GivenSecrets)


def planned_calls(source: Source) -> Iterator[PlannedCall]:
    """In the order of the document; those of the functions that it defines first. Compensations are calls too."""
    for scoped in tasks(source.document):
        task = scoped.task
        tool = protocols.tool_of(task)
        if isinstance(task, CallTask):
            yield from _call(scoped.pointer, task.call, tool, task.with_, source)
        elif isinstance(task, RunTask) and tool is not None:
            yield PlannedCall(scoped.pointer, tool, secrets=_of_protocol(_process(task), source))
        if (undo := task.compensate) is not None:
            tool = protocols.tool_named(undo.call)
            yield from _call(f"{scoped.pointer}/metadata/compensate", undo.call, tool, undo.with_, source)


def _call(
    pointer: str, call: str, tool: str | None, arguments: Mapping[str, Json], source: Source
) -> Iterator[PlannedCall]:
    """`tool`: the one that carries it out if it is no function's."""
    if references.function_of(call, source.document.use):
        return
    if references.cataloged(call):
        if (tool := references.tool_of_call(call)) is not None:
            yield PlannedCall(pointer, tool, secrets=unknown_secrets(source))
        return
    if tool is None:
        return
    if tool != call:
        # What a protocol's tool is given is made of what is written.
        yield PlannedCall(pointer, tool, secrets=_of_protocol(arguments, source))
        return
    try:
        unknown = None if _loose(source) else tuple(dict.fromkeys(at for at, _ in expressions.programs_in(arguments)))
    except expressions.ExpressionError:
        unknown = None
    if unknown is None:
        yield PlannedCall(pointer, tool, secrets=unknown_secrets(source))
    else:
        yield PlannedCall(pointer, tool, arguments, unknown, given_secrets(arguments, source))


def _loose(source: Source) -> bool:
    """Whether any text may be an expression."""
    return source.document.evaluate.mode == "loose"


def _of_protocol(arguments: Mapping[str, Json], source: Source) -> GivenSecrets:
    if _loose(source):
        return unknown_secrets(source)
    written = {name: value for name, value in arguments.items() if name != "subscription"}
    return given_secrets(_with_policies(written, source.document.use), source, templates=True)


def _with_policies(arguments: Mapping[str, Json], use: Use) -> dict[str, Json]:
    """With what `use.authentications` has in the place of each of its names."""
    found: dict[str, Json] = {}
    for key, value in arguments.items():
        named = value.get("use") if key == "authentication" and isinstance(value, Mapping) else None
        if key in protocols.DATA or not isinstance(value, Mapping):
            found[key] = value
        elif isinstance(named, str) and named in use.authentications:
            found[key] = use.authentications[named].model_dump(exclude_none=True)
        else:
            found[key] = value if key == "authentication" else _with_policies(value, use)
    return found


def _process(task: RunTask) -> dict[str, Json]:
    process = task.run
    given = process.container or process.script or process.shell or {}
    return {**given, "return": process.return_ if process.await_ else "none"}
