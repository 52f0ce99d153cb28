"""Runs, as the planner knows them, in the gateway's own JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import BaseModel, Field

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.gateway.errors import Malformed, PlannerUnavailable, RunNotFound

PLANNER_SERVICE = "factotum.api.planner.v1.PlannerService"
MAX_RUNS = 500

RunStatus = Literal["running", "completed", "failed", "cancelled", "terminated", "timed_out", "unspecified"]
StepStatus = Literal["running", "completed", "failed", "waiting", "cancelled", "unspecified"]


class Step(BaseModel):
    """One call of a run."""

    pointer: str = Field(description="JSON pointer into the document, e.g. /do/0/createAccount")
    iteration: str
    tool: str
    summary: str
    status: StepStatus
    attempts: int
    last_error: str
    started_at: datetime | None
    ended_at: datetime | None
    compensation: bool


class Run(BaseModel):
    """One durable execution of a plan, as a list has it."""

    id: str
    tenant: str
    procedure: str = Field(description="namespace/name")
    procedure_version: str
    status: RunStatus
    event_type: str
    started_at: datetime | None
    ended_at: datetime | None
    failure: str = Field(description="one sentence; empty unless it failed")
    trace_id: str
    ui_url: str


class RunWithSteps(Run):
    """One run and all that is known of it."""

    output: Any = Field(description="null until it is completed")
    steps: list[Step]


class RunList(BaseModel):
    """Newest first."""

    runs: list[Run]


class PlannerClient:
    """The planner over gRPC. Every method raises `PlannerUnavailable` if it does not answer in time."""

    def __init__(self, channel: grpc.aio.Channel, timeout_seconds: float = 5.0) -> None:
        self._planner = planner_pb2_grpc.PlannerServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)
        self._timeout = timeout_seconds

    async def runs(self, tenant: str, *, limit: int, procedure: str = "") -> RunList:
        request = pb.ListRunsRequest(tenant=tenant, limit=limit, procedure=procedure)
        try:
            response = await self._planner.ListRuns(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error
        return RunList(runs=[Run(**_run(run)) for run in response.runs])

    async def run(self, tenant: str, run_id: str) -> RunWithSteps:
        """Raises `RunNotFound`, also for the run of another tenant."""
        request = pb.GetRunRequest(tenant=tenant, run_id=run_id)
        try:
            response = await self._planner.GetRun(request, timeout=self._timeout)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from error
        run = response.run
        return RunWithSteps(
            **_run(run),
            output=json.loads(run.output_json) if run.output_json else None,
            steps=[_step(step) for step in run.steps],
        )

    async def healthy(self) -> bool:
        """Whether the planner says that it serves."""
        request = health_pb2.HealthCheckRequest(service=PLANNER_SERVICE)
        try:
            response = await self._health.Check(request, timeout=self._timeout)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


def _translated(error: grpc.aio.AioRpcError) -> Exception:
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return RunNotFound("there is no such run")
    if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
        return Malformed(error.details() or "the planner refused the request")
    return PlannerUnavailable(f"the planner did not answer: {error.code().name}")


def _run(run: pb.Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "tenant": run.tenant,
        "procedure": run.procedure,
        "procedure_version": run.procedure_version,
        "status": pb.RunStatus.Name(run.status).removeprefix("RUN_STATUS_").lower(),
        "event_type": run.event_type,
        "started_at": _moment(run.started_at if run.HasField("started_at") else None),
        "ended_at": _moment(run.ended_at if run.HasField("ended_at") else None),
        "failure": run.failure,
        "trace_id": run.trace_id,
        "ui_url": run.ui_url,
    }


def _step(step: pb.Step) -> Step:
    status: Any = pb.StepStatus.Name(step.status).removeprefix("STEP_STATUS_").lower()
    return Step(
        pointer=step.pointer,
        iteration=step.iteration,
        tool=step.tool,
        summary=step.summary,
        status=status,
        attempts=step.attempts,
        last_error=step.last_error,
        started_at=_moment(step.started_at if step.HasField("started_at") else None),
        ended_at=_moment(step.ended_at if step.HasField("ended_at") else None),
        compensation=step.compensation,
    )


def _moment(timestamp: Timestamp | None) -> datetime | None:
    return None if timestamp is None else timestamp.ToDatetime(UTC)
