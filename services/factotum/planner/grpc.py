"""The planner's gRPC face: translates, decides nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.events.envelope import Event
from factotum.planner.grpc_approvals import ApprovalCalls
from factotum.planner.grpc_procedures import ProcedureCalls
from factotum.planner.grpc_runs import run_message
from factotum.planner.grpc_status import TRANSLATED, Context, abort, check
from factotum.planner.grpc_subscriptions import SubscriptionCalls
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.planner.requests import Requests
from factotum.planner.subscriptions import Subscriptions
from factotum.runs.client import Runs
from factotum.runs.decisions import Decisions
from factotum.runtime.groups import Groups

SERVICE = "factotum.api.planner.v1.PlannerService"
DEFAULT_LIMIT, MAX_LIMIT = 50, 500


class PlannerServicer(ApprovalCalls, ProcedureCalls, SubscriptionCalls, planner_pb2_grpc.PlannerServiceServicer):
    """Serves `PlannerService`."""

    def __init__(
        self,
        *,
        intake: Intake,
        library: Library,
        requests: Requests,
        runs: Runs,
        subscriptions: Subscriptions,
        decisions: Decisions,
        groups: Groups,
    ) -> None:
        ApprovalCalls.__init__(self, decisions=decisions, groups=groups)
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
        return pb.ListRunsResponse(runs=[run_message(view) for view in views])

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        await check(context, tenant=request.tenant, run_id=request.run_id)
        try:
            return pb.GetRunResponse(run=run_message(await self._runs.get(request.tenant, request.run_id)))
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
                yield pb.WatchRunResponse(run=run_message(view))
        except TRANSLATED as error:
            await abort(context, error)
