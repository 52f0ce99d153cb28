"""What a task sees of its surroundings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from factotum.workflows.progress import Frame


class Aborted(BaseException):
    """The surrounding fork or run is ending; no further step may begin. Not an error: no `catch` sees it."""


class Abort:
    """Raised once, for everything below it. In-flight calls end; nothing new begins."""

    def __init__(self, parent: Abort | None = None) -> None:
        self._parent = parent
        self._raised = False

    def set(self) -> None:
        self._raised = True

    @property
    def raised(self) -> bool:
        return self._raised or (self._parent is not None and self._parent.raised)


@dataclass(frozen=True, slots=True)
class Scope:
    """One place in the execution.

    Attributes:
        variables: what `for`, `catch` and `foreach` have bound, by name.
        iteration: which round of each enclosing loop, outermost first, and which task called the
            function or extension; with the step's pointer it identifies an effect, so it must be the
            same whenever the same effect is meant.
        in_try: an enclosing `try` decides over retries.
        extending: inside an extension, which no extension extends.
        depth: how many functions call each other here.
        abort: stops this place and everything below it.
        frame: of the task or list around; see `progress`.
    """

    variables: Mapping[str, Any] = field(default_factory=dict)
    iteration: tuple[str, ...] = ()
    in_try: bool = False
    extending: bool = False
    depth: int = 0
    abort: Abort = field(default_factory=Abort)
    frame: Frame = field(default_factory=dict)

    def bind(self, **variables: Any) -> Scope:
        return replace(self, variables={**self.variables, **variables})

    def round(self, name: str) -> Scope:
        return replace(self, iteration=(*self.iteration, name))
