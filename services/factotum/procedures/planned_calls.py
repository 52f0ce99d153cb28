"""The calls of tools that stand in a document, as far as it can be read from it what they will be given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from factotum.procedures import expressions, protocols
from factotum.procedures.checks import references
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.model import Document
from factotum.procedures.tasks import CallTask

Json = Any


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call that a run may make.

    Attributes:
        pointer: of the task, or of its compensation, that makes it.
        arguments: as they are written; None where they tell nothing of what the tool is given.
        unknown: JSON pointers into them, of what is an expression.
    """

    pointer: str
    tool: str
    arguments: Mapping[str, Json] | None = None
    unknown: tuple[str, ...] = ()


def planned_calls(document: Document) -> Iterator[PlannedCall]:
    """In the order of the document; those of the functions that it defines first. Compensations are calls too."""
    for scoped in tasks(document):
        task = scoped.task
        tool = protocols.tool_of(task)
        if isinstance(task, CallTask):
            yield from _call(scoped.pointer, task.call, task.with_, document, by_protocol=tool != task.call)
        elif tool is not None:
            yield PlannedCall(scoped.pointer, tool)
        if (undo := task.compensate) is not None:
            yield from _call(f"{scoped.pointer}/metadata/compensate", undo.call, undo.with_, document)


def _call(
    pointer: str, call: str, arguments: Mapping[str, Json], document: Document, *, by_protocol: bool = False
) -> Iterator[PlannedCall]:
    if references.function_of(call, document.use):
        return
    tool = references.tool_of_call(call)
    if tool is None:
        return
    # In loose mode any text may be an expression. What a protocol's tool is given is made of what is written.
    if by_protocol or tool != call or document.evaluate.mode == "loose":
        yield PlannedCall(pointer, tool)
        return
    try:
        unknown = tuple(dict.fromkeys(at for at, _ in expressions.programs_in(arguments)))
    except expressions.ExpressionError:
        yield PlannedCall(pointer, tool)
        return
    yield PlannedCall(pointer, tool, arguments, unknown)
