"""Which ways through a document were gone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from factotum.procedures import expressions
from factotum.procedures.checks.scopes import tasks
from factotum.procedures.model import Document
from factotum.procedures.tasks import ForTask, SwitchTask, TryTask
from factotum.simulation.record import Node

Json = Any

_IF = re.compile(r"(/.+)/if")
_WHEN = re.compile(r"(/.+)/switch/(\d+)/.*/when")


@dataclass(frozen=True, slots=True, order=True)
class Way:
    """One branch: a task, a side of an `if`, a case of a `switch`, a `catch`, a loop with or without a round.

    Attributes:
        which: empty for the task itself; else `if true`, `if false`, `case NAME`, `no case`, `caught`,
            `some rounds`, `no round`.
    """

    pointer: str
    which: str = ""

    def __str__(self) -> str:
        return f"{self.pointer} ({self.which})" if self.which else self.pointer


@dataclass(slots=True)
class Coverage:
    """Of one document, over any number of simulations."""

    total: frozenset[Way]
    gone: set[Way] = field(default_factory=set)

    @property
    def missing(self) -> list[Way]:
        return sorted(self.total - self.gone)

    @property
    def percent(self) -> float:
        return 100.0 * len(self.gone & self.total) / len(self.total) if self.total else 100.0

    def as_json(self) -> Json:
        return {
            "covered": len(self.gone & self.total),
            "total": len(self.total),
            "missing": [{"step": way.pointer, "which": way.which} for way in self.missing],
        }


def ways(document: Document) -> frozenset[Way]:
    """Every branch of a document."""
    return frozenset(_ways(document))


def _ways(document: Document) -> Iterable[Way]:
    for scoped in tasks(document):
        pointer, task = scoped.pointer, scoped.task
        yield Way(pointer)
        if task.if_ is not None:
            yield from (Way(pointer, "if true"), Way(pointer, "if false"))
        match task:
            case SwitchTask(switch=cases):
                yield from (Way(pointer, f"case {named.name}") for named in cases)
                if all(named.case.when is not None for named in cases):
                    yield Way(pointer, "no case")
            case TryTask():
                yield Way(pointer, "caught")
            case ForTask():
                yield from (Way(pointer, "some rounds"), Way(pointer, "no round"))
            case _:
                pass


class Watch:
    """Tells of one document's simulation which ways are gone, and by which case each `switch` went."""

    def __init__(self, document: Document, coverage: Coverage) -> None:
        self._cases = {
            scoped.pointer: scoped.task.switch for scoped in tasks(document) if isinstance(scoped.task, SwitchTask)
        }
        self._coverage = coverage
        self._taken: dict[str, str] = {}

    def shaped(self, pointer: str, value: Json) -> None:
        """An expression of the document had a value."""
        if (found := _IF.fullmatch(pointer)) is not None:
            self._coverage.gone.add(Way(found[1], f"if {'true' if expressions.truthy(value) else 'false'}"))
        elif (found := _WHEN.fullmatch(pointer)) is not None and expressions.truthy(value):
            self._taken[found[1]] = self._cases[found[1]][int(found[2])].name

    def told(self, node: Node) -> str:
        """A task began or ended; the name of the case, where it was a `switch` that is completed."""
        pointer = node.pointer
        if node.state == "started":
            self._coverage.gone.add(Way(pointer))
        if node.state != "completed":
            return ""
        if node.kind == "for":
            self._coverage.gone.add(Way(pointer, "some rounds" if any(node.nodes) else "no round"))
        if node.kind != "switch":
            return ""
        default = next((named.name for named in self._cases.get(pointer, ()) if named.case.when is None), "")
        case = self._taken.pop(pointer, default)
        self._coverage.gone.add(Way(pointer, f"case {case}" if case else "no case"))
        return case

    def caught(self, pointer: str) -> None:
        self._coverage.gone.add(Way(pointer, "caught"))
