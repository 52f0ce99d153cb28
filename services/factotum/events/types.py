"""The data of the events that Factotum itself publishes, one model an event type."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

OBSERVATION_TYPE = "dev.factotum.observation.v1"
OUTCOME_TYPE = "dev.factotum.outcome.v1"
TOOL_TYPE = "dev.factotum.tool.v1"
PROCEDURE_TYPE = "dev.factotum.procedure.v1"
OFFERED_TYPE = "dev.factotum.offered.v1"


class ObservedError(BaseModel):
    """A tool's error as it is remembered."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    message: str
    retryable: bool


class ObservationData(BaseModel):
    """What one call did (`factotum.observations`).

    `tool` is empty for what the planner observed itself, e.g. that no procedure matched an event;
    then `note` says it.
    """

    model_config = ConfigDict(extra="forbid")

    tool: str = ""
    tool_version: str = ""
    effect: str = "none"
    run_id: str = ""
    step: str = ""
    iteration: str = ""
    procedure: str = ""
    arguments: dict[str, Any] = {}
    output: Any = None
    error: ObservedError | None = None
    replayed: bool = False
    note: str = ""
    started_at: datetime
    ended_at: datetime


class LeftToPeople(BaseModel):
    """What a run could neither undo nor find out: a person's task, with what it takes to do it by hand."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["undo", "find out"]
    step: str
    iteration: str = ""
    tool: str
    arguments: dict[str, Any] = {}
    idempotency_key: str
    error: str


class PlannedStep(BaseModel):
    """A step as it stands in the procedure. `tool`: what it calls, or its kind where it calls nothing."""

    model_config = ConfigDict(extra="forbid")

    step: str
    tool: str
    summary: str = ""


class StepTaken(BaseModel):
    """What became of a step, over all the rounds that loops and retries made of it.

    `attempts` are those of its call, where it was made more than once; `retried` and `caught` count what a `try` did;
    `error` and `failure` tell of the last problem, also of one that was overcome; `undone`: it was compensated.
    """

    model_config = ConfigDict(extra="forbid")

    step: str
    kind: str
    status: str
    rounds: int = 0
    attempts: int = 1
    failed: int = 0
    retried: int = 0
    caught: int = 0
    undone: bool = False
    error: str = ""
    failure: str = ""
    at: str = ""
    branch: str = ""
    seconds: float = 0.0


class OutcomeData(BaseModel):
    """How a run ended (`factotum.outcomes`): what it was for, what was planned, what happened, how it ended.

    `lesson` is told by rule from the rest, and empty where all went as planned. `note` says what of it was too large
    to be kept.
    """

    model_config = ConfigDict(extra="forbid")

    run_id: str
    procedure: str
    procedure_version: str
    event_type: str = ""
    status: Literal["completed", "failed", "cancelled"]
    input: Any = None
    output: Any = None
    failure: str = ""
    compensated: list[str] = []
    tasks: list[LeftToPeople] = []
    goal: str = ""
    plan: list[PlannedStep] = []
    steps: list[StepTaken] = []
    steps_left_out: int = 0
    lesson: str = ""
    note: str = ""
    started_at: datetime
    ended_at: datetime


class ToolData(BaseModel):
    """A tool that a tenant has now, as it is searched for (`factotum.observations`).

    `inputs` are names of fields, `examples` titles of calls, `source` says where it comes from.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    description: str
    effect: str
    inputs: list[str] = []
    examples: list[str] = []
    source: str = ""


class ProcedureData(BaseModel):
    """The newest version of a procedure that a tenant has now. `triggers` are types of events."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: str
    title: str = ""
    summary: str = ""
    triggers: list[str] = []
    tools: list[str] = []


class OfferedData(BaseModel):
    """The names of all that a service offers a tenant now, told after each was: what else it told once is gone."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["tool", "procedure"]
    names: list[str]
