"""The planner's gRPC face: translates, decides nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.envelope import Event
from factotum.planner.grpc_procedures import ProcedureCalls
from factotum.planner.grpc_status import TRANSLATED, Context, abort, check
from factotum.planner.grpc_subscriptions import SubscriptionCalls
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.planner.requests import Requests
from factotum.planner.subscriptions import Subscriptions
from factotum.runs.client import Runs
from factotum.runs.view import RunView, StepView

SERVICE = "factotum.api.planner.v1.PlannerService"
DEFAULT_LIMIT, MAX_LIMIT = 50, 500


class PlannerServicer(ProcedureCalls, SubscriptionCalls, planner_pb2_grpc.PlannerServiceServicer):
    """Serves `PlannerService`."""

    def __init__(
        self, *, intake: Intake, library: Library, requests: Requests, runs: Runs, subscriptions: Subscriptions
    ) -> None:
        ProcedureCalls.__init__(self, library=library, requests=requests)
        SubscriptionCalls.__init__(self, subscriptions=subscriptions)
        self._intake = intake
        self._runs = runs

    async def Plan(self, request: pb.PlanRequest, context: Context) -> pb.PlanResponse:
        await check(context, tenant=request.tenant)
        try:
            event = Event.from_bytes(request.event_json.encode())
            if event.tenant != request.tenant:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the event is another tenant's")
            plans = await self._intake.plans(event)
        except TRANSLATED as error:
            await abort(context, error)
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

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        await check(context, tenant=request.tenant, procedure=request.procedure)
        limit = request.limit or DEFAULT_LIMIT
        if not 1 <= limit <= MAX_LIMIT:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"limit must be 1 to {MAX_LIMIT}")
        try:
            views = await self._runs.list(request.tenant, limit=limit, procedure=request.procedure)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListRunsResponse(runs=[_run(view) for view in views])

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        await check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            return pb.GetRunResponse(run=_run(await self._runs.get(request.tenant, request.run_id)))
        except TRANSLATED as error:
            await abort(context, error)

    async def CancelRun(self, request: pb.CancelRunRequest, context: Context) -> pb.CancelRunResponse:
        await check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            await self._runs.cancel(request.tenant, request.run_id)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.CancelRunResponse()

    async def WatchRun(self, request: pb.WatchRunRequest, context: Context) -> AsyncIterator[pb.WatchRunResponse]:
        await check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            async for view in self._runs.watch(request.tenant, request.run_id):
                yield pb.WatchRunResponse(run=_run(view))
        except TRANSLATED as error:
            await abort(context, error)


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
