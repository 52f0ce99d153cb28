"""What happened in a simulation: a tree of tasks, each with what was done in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from factotum.workflows.calling import called_from
from factotum.workflows.step import Step
from factotum.workflows.world import TaskEvent

Json = Any
Iteration = tuple[str, ...]
State = Literal["started", "completed", "skipped", "faulted", "ended"]


@dataclass(slots=True)
class Mark:
    """Something that happened in a task.

    Attributes:
        what: `call`, `refused`, `retry`, `caught`, `case`, `asked`, `decided`, `emitted`, `waits`.
        at: virtual seconds since the start.
        details: by `what`; all of it JSON.
    """

    what: str
    at: float
    details: dict[str, Json]

    def as_json(self) -> Json:
        return {"what": self.what, "at": self.at, **self.details}


@dataclass(slots=True, eq=False)
class Node:
    """One carrying out of a task; a task that is tried again has another.

    Attributes:
        run: the id of the run it is in.
        value: the output of a completed task, the problem of a faulted one.
        inside: marks and nodes in the order in which they came.
    """

    run: str
    pointer: str
    iteration: Iteration
    kind: str
    state: State
    began: float
    ended: float | None = None
    value: Json = None
    inside: list[Mark | Node] = field(default_factory=list)
    above: Node | None = None

    @property
    def name(self) -> str:
        return self.pointer.rpartition("/")[2].replace("~1", "/").replace("~0", "~")

    @property
    def nodes(self) -> Iterator[Node]:
        """The tasks directly in it."""
        return (each for each in self.inside if isinstance(each, Node))

    @property
    def path(self) -> Iterator[Node]:
        """Itself and what it is in, inner before outer."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.above

    @property
    def everything(self) -> Iterator[Node]:
        """Itself and every task below, outer before inner."""
        yield self
        for node in self.nodes:
            yield from node.everything

    def as_json(self) -> Json:
        return {
            "step": self.pointer,
            "iteration": ".".join(self.iteration),
            "run": self.run,
            "kind": self.kind,
            "state": self.state,
            "began": self.began,
            "ended": self.ended,
            "value": self.value,
            "inside": [each.as_json() for each in self.inside],
        }


@dataclass(slots=True)
class Effected:
    """A call as it reached a tool, or an event as it was published.

    Attributes:
        tool: empty for an event, whose type `arguments` has.
        effect: the tool's effect class; `emit` for an event.
        error: what the tool answered; None for success.
    """

    at: float
    run: str
    step: str
    iteration: str
    tool: str
    effect: str
    arguments: dict[str, Json]
    compensation: bool
    error: dict[str, Json] | None = None

    def as_json(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


class Record:
    """Everything that a simulation saw. `elapsed` gives the virtual seconds since the start."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self.root = Node("", "", (), "run", "started", 0.0)
        self.undoing = Node("", "", (), "undo", "started", 0.0)
        self.effects: list[Effected] = []
        self._latest: dict[tuple[str, str, Iteration], Node] = {}
        self._callers: dict[tuple[str, str, Iteration], Node] = {}
        self._roots: dict[str, Node] = {}

    def begin_run(self, run: str, step: Node | None) -> None:
        """A run nested in the task of `step`, or the outermost."""
        self._roots[run] = step or self.root

    def observe(self, run: str, event: TaskEvent) -> Node:
        """Takes a task's event in; the task's node."""
        iteration = tuple(event.iteration.split(".")) if event.iteration else ()
        node = self._latest.get((run, event.pointer, iteration))
        if event.phase in ("caught", "retried"):
            node = node or self._roots[run]
            node.inside.append(Mark("caught" if event.phase == "caught" else "retry", self._elapsed(), event.value))
            return node
        if event.phase in ("started", "skipped") or node is None or node.state != "started":
            node = self._new(run, event, iteration)
        if event.phase != "started":
            node.state, node.ended = _state(event.phase), self._elapsed()
            node.value = event.value if event.phase != "skipped" else None
        return node

    def mark(self, node: Node, what: str, **details: Json) -> None:
        node.inside.append(Mark(what, self._elapsed(), details))

    def of_step(self, run: str, step: Step) -> Node:
        """The node of a call's task; a call that undoes has one of its own for each attempt to undo."""
        run = step.run_id or run
        # Of several calls of one task, such as the fetches of a subscription, each has a number of its own.
        text = step.iteration.partition("#")[0]
        found = self._latest.get((run, step.pointer, tuple(text.split(".")) if text else ()))
        return found or self._roots.get(run, self.root)

    def latest(self, run: str, pointer: str) -> Node | None:
        """The node of a task that was begun last, in whatever round."""
        found = [node for (of, at, _), node in self._latest.items() if of == run and at == pointer]
        return max(found, key=lambda node: node.began, default=None)

    def open(self) -> list[Node]:
        """Tasks that have begun and not ended, with nothing begun inside of them."""
        return [
            node
            for node in self.root.everything
            if node is not self.root
            and node.state == "started"
            and not any(below.state == "started" for below in node.nodes)
        ]

    def _new(self, run: str, event: TaskEvent, iteration: Iteration) -> Node:
        above = self._above(run, event.pointer, iteration)
        node = Node(run, event.pointer, iteration, event.kind, "started", self._elapsed(), above=above)
        above.inside.append(node)
        self._latest[run, event.pointer, iteration] = node
        self._callers[run, called_from(event.pointer), iteration] = node
        return node

    def _above(self, run: str, pointer: str, iteration: Iteration) -> Node:
        """The task around: the nearest by pointer, in the same rounds; that of a function is who called it."""
        tokens = pointer.split("/")
        for end in range(len(tokens) - 1, 0, -1):
            above = "/".join(tokens[:end])
            for length in range(len(iteration), -1, -1):
                if (node := self._latest.get((run, above, iteration[:length]))) is not None:
                    return node
        for index in reversed(range(len(iteration))):
            if (node := self._callers.get((run, iteration[index], iteration[:index]))) is not None:
                return node
        return self._roots[run]


def _state(phase: str) -> State:
    match phase:
        case "completed" | "skipped" | "faulted":
            return phase
        case _:
            return "ended"
