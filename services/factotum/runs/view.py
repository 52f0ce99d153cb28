"""A run as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class StepStatus(StrEnum):
    """WAITING: not done for want of a system or of a person; the last error says which."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    WAITING = "waiting"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class StepView:
    """One call of a run, compensations included."""

    pointer: str
    iteration: str
    tool: str
    summary: str
    status: StepStatus
    compensation: bool
    attempts: int = 0
    last_error: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(slots=True)
class RunView:
    """One run. `steps` and `output` are filled only where one run was asked for, `failure` in lists too."""

    id: str
    tenant: str
    procedure: str
    procedure_version: str
    status: RunStatus
    event_type: str
    started_at: datetime
    ended_at: datetime | None = None
    output: Any = None
    failure: str = ""
    steps: list[StepView] = field(default_factory=list)
    trace_id: str = ""
    ui_url: str = ""
