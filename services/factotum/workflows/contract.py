"""What goes into a run and into its activities: one object each, kept in Temporal's history.

A change here must read the histories of runs in flight: add fields with defaults, never rename.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Json = Any

# The one activity that is no tool call; its name cannot be a tool's, which has one dot and no dash.
PUBLISH_OUTCOME = "publish-outcome"


class Contract(BaseModel):
    model_config = ConfigDict(frozen=True)


class EventReference(Contract):
    """The event that started the run; empty for a run started otherwise."""

    source: str = ""
    id: str = ""
    type: str = ""


class ToolPin(Contract):
    """The version of a tool that the plan was checked against, and how long one call may take."""

    version: str
    timeout_seconds: float


class RunInput(Contract):
    """The input of a run. The document travels in it, so that editing a procedure leaves runs alone."""

    tenant: str
    document: dict[str, Json]
    input: Json = None
    event: EventReference = EventReference()
    tools: dict[str, ToolPin] = {}


class ToolCall(Contract):
    """The input of the activity that carries out one call; the activity's name is the tool's."""

    tenant: str
    tool: str
    tool_version: str = ""
    arguments: dict[str, Json]
    idempotency_key: str
    run_id: str
    step: str
    iteration: str = ""
    compensation: bool = False
    settle: bool = False
    procedure: str = ""
    event: EventReference = EventReference()


class Outcome(Contract):
    """The input of the activity that tells the world how a run ended."""

    tenant: str
    run_id: str
    procedure: str
    procedure_version: str
    event: EventReference
    status: Literal["completed", "failed", "cancelled"]
    input: Json = None
    output: Json = None
    failure: str = ""
    compensated: list[str] = []
    started_at: datetime
    ended_at: datetime
