"""The planner's gRPC face: translates, decides nothing."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.envelope import TENANT_PATTERN, Event, MalformedEvent
from factotum.planner.errors import CatalogUnavailable
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.procedures.fault import FaultyDocument
from factotum.runs.client import RunNotFound, RunRefused, Runs, TemporalUnavailable
from factotum.runs.view import RunView, StepView

SERVICE = "factotum.api.planner.v1.PlannerService"
DEFAULT_LIMIT, MAX_LIMIT = 50, 500

# Whole values only: `$` alone would let a line break pass at the end.
_TENANT = re.compile(TENANT_PATTERN)
_PROCEDURE = re.compile(r"[a-z0-9-]{1,63}/[a-z0-9-]{1,63}")
_RUN_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,199}")

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    RunNotFound: grpc.StatusCode.NOT_FOUND,
    TemporalUnavailable: grpc.StatusCode.UNAVAILABLE,
    CatalogUnavailable: grpc.StatusCode.UNAVAILABLE,
    FaultyDocument: grpc.StatusCode.FAILED_PRECONDITION,
    RunRefused: grpc.StatusCode.INVALID_ARGUMENT,
    MalformedEvent: grpc.StatusCode.INVALID_ARGUMENT,
}

_TRANSLATED: tuple[type[Exception], ...] = tuple(_STATUS)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class PlannerServicer(planner_pb2_grpc.PlannerServiceServicer):
    """Serves `PlannerService`."""

    def __init__(self, *, intake: Intake, library: Library, runs: Runs) -> None:
        self._intake = intake
        self._library = library
        self._runs = runs

    async def Plan(self, request: pb.PlanRequest, context: Context) -> pb.PlanResponse:
        await _check(context, tenant=request.tenant)
        try:
            event = Event.from_bytes(request.event_json.encode())
            if event.tenant != request.tenant:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the event is another tenant's")
            plans = await self._intake.plans(event)
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.PlanResponse(
            plans=[
                pb.Plan(
                    run_id=made.run_id,
                    procedure=made.source.document.full_name,
                    procedure_version=made.source.document.document.version,
                )
                for made in plans
            ]
        )

    async def ListProcedures(self, request: pb.ListProceduresRequest, context: Context) -> pb.ListProceduresResponse:
        await _check(context, tenant=request.tenant)
        return pb.ListProceduresResponse(
            procedures=[
                pb.Procedure(
                    procedure=name,
                    version=source.document.document.version,
                    title=source.document.document.title,
                    summary=source.document.document.summary,
                    event_types=[
                        str(wanted.with_["type"])
                        for wanted in (source.document.schedule.on.filters if source.document.schedule else ())
                        if "type" in wanted.with_
                    ],
                )
                for name, source in sorted(self._library.sources.items())
            ]
        )

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        await _check(context, tenant=request.tenant, procedure=request.procedure)
        limit = request.limit or DEFAULT_LIMIT
        if not 1 <= limit <= MAX_LIMIT:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit must be 1 to {MAX_LIMIT}")
        try:
            views = await self._runs.list(request.tenant, limit=limit, procedure=request.procedure)
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.ListRunsResponse(runs=[_run(view) for view in views])

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        await _check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            return pb.GetRunResponse(run=_run(await self._runs.get(request.tenant, request.run_id)))
        except _TRANSLATED as error:
            await _abort(context, error)

    async def WatchRun(self, request: pb.WatchRunRequest, context: Context) -> AsyncIterator[pb.WatchRunResponse]:
        await _check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            async for view in self._runs.watch(request.tenant, request.run_id):
                yield pb.WatchRunResponse(run=_run(view))
        except _TRANSLATED as error:
            await _abort(context, error)


async def _check(context: Context, *, tenant: str, run_id: str | None = None, procedure: str = "") -> None:
    # Tenant and procedure go into a visibility query, so nothing but their patterns may pass.
    if not _TENANT.fullmatch(tenant):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"tenant must match {TENANT_PATTERN}")
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        await context.abort(grpc.StatusCode.NOT_FOUND, f"tenant {tenant} has no run {run_id!r}")
    if procedure and not _PROCEDURE.fullmatch(procedure):
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "procedure must be namespace/name")


async def _abort(context: Context, error: Exception) -> NoReturn:
    await context.abort(_STATUS[type(error)], str(error))
    raise AssertionError("abort raises")


def _run(view: RunView) -> pb.Run:
    return pb.Run(
        id=view.id,
        tenant=view.tenant,
        procedure=view.procedure,
        procedure_version=view.procedure_version,
        status=pb.RunStatus.Value(f"RUN_STATUS_{view.status.name}"),
        event_type=view.event_type,
        started_at=_stamp(view.started_at),
        ended_at=_stamp(view.ended_at),
        output_json="" if view.output is None else json.dumps(view.output, ensure_ascii=False),
        failure=view.failure,
        steps=[_step(step) for step in view.steps],
        trace_id=view.trace_id,
        ui_url=view.ui_url,
    )


def _step(step: StepView) -> pb.Step:
    return pb.Step(
        pointer=step.pointer,
        iteration=step.iteration,
        tool=step.tool,
        summary=step.summary,
        status=pb.StepStatus.Value(f"STEP_STATUS_{step.status.name}"),
        attempts=step.attempts,
        last_error=step.last_error,
        started_at=_stamp(step.started_at),
        ended_at=_stamp(step.ended_at),
        compensation=step.compensation,
    )


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
