"""A run as it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from factotum.workflows.contract import PendingApproval, PersonTask


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
    """One call of a run, compensations included, or one run nested in it.

    Attributes:
        tool: of a nested run its procedure and version.
        run_id: of a nested run; empty for a call.
    """

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
    run_id: str = ""


@dataclass(slots=True)
class RunView:
    """One run. `failure` is filled in lists too; from `output` on, all is only where one run was asked for.

    Attributes:
        steps_left_out: how many steps came before the first of `steps`.
        waits_until: the moments that it waits for.
        tasks: what is left for people so far.
        approvals: calls that wait for a person.
    """

    id: str
    tenant: str
    procedure: str
    procedure_version: str
    status: RunStatus
    event_type: str
    started_at: datetime
    ended_at: datetime | None = None
    failure: str = ""
    trace_id: str = ""
    ui_url: str = ""
    output: Any = None
    steps: list[StepView] = field(default_factory=list)
    steps_left_out: int = 0
    waits_until: list[datetime] = field(default_factory=list)
    tasks: list[PersonTask] = field(default_factory=list)
    approvals: list[PendingApproval] = field(default_factory=list)
