"""What an author gives to have a tool tried, and what a check says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel

from factotum.sdk.tool import Tool

S = TypeVar("S", bound=BaseModel)
Arguments: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class World(Generic[S]):
    """A system under the author's control that the tool acts on.

    Attributes:
        settings: with which the system is reached.
        arguments: gives those of one call, by a number: no two of them act on the same thing. May prepare in the
            system what such a call needs. The call must succeed.
        standing: how often the effect of a call with these arguments stands in the system: 0, 1, or more.
            Required of a tool with an effect; of one that reads, how often it changed something all the same.
        undo: the tool that the compensation names, to have an effect taken back; it is called with the same settings
            and with arguments made of the output, as a run makes them. A tool's own compensation knows no more than
            the output: `$input`, `$context` and their like are a document's, whose simulation tries them.
        patience_seconds: how long `reconcile` may go on answering `Unavailable` because the system cannot tell yet.
        secrets: values by name, of the secrets that settings and spec name.
        away: settings with which nothing answers, such as the address of a port where nobody listens.
        invalid: arguments that must be refused, beside those that the suite makes of the schema.
        user: the person the calls are made for.
        surroundings: more fields of the context, by name, such as `sandbox`.
    """

    settings: S
    arguments: Callable[[int], Arguments | Awaitable[Arguments]]
    standing: Callable[[Arguments], Awaitable[int]] | None = None
    undo: Tool[Any, Any, S] | None = None
    patience_seconds: float = 0.0
    secrets: Mapping[str, str] = field(default_factory=dict)
    away: S | None = None
    invalid: Sequence[Arguments] = ()
    user: str = ""
    surroundings: Mapping[str, Any] = field(default_factory=dict)
    tenant: str = "acme"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """One property. `passed` None: it does not apply, and `message` says why."""

    name: str
    passed: bool | None
    message: str = ""

    def __str__(self) -> str:
        word = {True: "passed", False: "FAILED", None: "-"}[self.passed]
        return f"{word:7} {self.name}{f': {self.message}' if self.message else ''}"


class Fault(Exception):
    """The tool has not a property that it must have."""
