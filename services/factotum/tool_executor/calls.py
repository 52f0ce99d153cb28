"""A call on its way through the wrappers, and what comes back."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from pydantic import BaseModel

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import ToolError
from factotum.tool_executor.records import record
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.under_way import Interruption


@record
class Origin:
    """What asked for the call; all empty for one made by hand."""

    run_id: str = ""
    step: str = ""
    iteration: str = ""
    procedure: str = ""
    event_source: str = ""
    event_id: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class SecretMarks:
    """Which marks in the arguments stand for secrets: of this nonce, and of these names only."""

    nonce: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved the call with this hash (`factotum.sdk.approval`)."""

    call_sha256: str
    by: tuple[str, ...]


@record
class Call:
    """A call as it came in. `arguments_json` is not looked into yet.

    `settle` asks what became of an earlier call with this key, and for nothing new. `interruption` says
    whether the call was asked to end.
    """

    tenant: str
    tool: AnyTool
    arguments_json: str
    key: str
    origin: Origin
    started_at: datetime
    settle: bool = False
    secrets: SecretMarks | None = None
    approval: Approval | None = None
    interruption: Interruption = field(default_factory=Interruption, compare=False)

    @property
    def arguments_sha256(self) -> str:
        return hashlib.sha256(self.arguments_json.encode()).hexdigest()


class Progress:
    """Where a tool's `context.report` leads: to nobody, or to who listens now."""

    __slots__ = ("listener",)

    def __init__(self) -> None:
        self.listener: Callable[[str, float | None], None] | None = None

    def __call__(self, text: str, fraction: float | None = None) -> None:
        if self.listener is not None:
            self.listener(text, fraction)


@record
class Prepared:
    """A call whose arguments the tool's model accepts, with the tool's surroundings. `mask` knows the values that
    it was given, and what the tool conceals; `progress` is where its reports lead."""

    call: Call
    arguments: BaseModel
    context: ToolContext[Any]
    mask: Mask = field(default_factory=Mask, compare=False)
    progress: Progress = field(default_factory=Progress, compare=False)


@record
class Answer:
    """What came of a call: the output's JSON text, or an error, never both.

    `effect_possible` says of an answer with an error that the key's effect, of this or of an earlier
    attempt, may stand in the system. `recorded` says that the ledger has seen to the observation, or
    that there is none to make.
    """

    tool_version: str
    started_at: datetime
    ended_at: datetime
    output_json: str | None = None
    error: ToolError | None = None
    effect_possible: bool = False
    replayed: bool = False
    recorded: bool = False


T = TypeVar("T")

# Carries out, or asks about, a prepared call. Raises `ToolError`.
Handler: TypeAlias = Callable[[Prepared], Awaitable[T]]
