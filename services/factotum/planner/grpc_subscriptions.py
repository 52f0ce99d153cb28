"""The planner's gRPC face, subscriptions: which events a run hears of."""

from __future__ import annotations

import json

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.planner.grpc_status import TRANSLATED, Context, abort, check, refuse
from factotum.planner.subscriptions import Subscriptions
from factotum.procedures.event_matching import constant_part
from factotum.runs.identity import tenant_of

# Every planner keeps all filters in memory.
MOST_FILTERS = 1000
LONGEST_FILTERS = 256 * 1024


class SubscriptionCalls:
    """The calls of `PlannerService` by which a run begins and ends to hear of events."""

    def __init__(self, *, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def Subscribe(self, request: pb.SubscribeRequest, context: Context) -> pb.SubscribeResponse:
        await _check_run(context, request.tenant, request.run_id)
        if len(request.filters_json) > LONGEST_FILTERS:
            await refuse(context, f"filters_json must have at most {LONGEST_FILTERS} characters")
        try:
            filters = json.loads(request.filters_json)
        except (ValueError, RecursionError) as error:
            await refuse(context, f"filters_json is not JSON: {error}")
        if not isinstance(filters, list) or not all(isinstance(wanted, dict) for wanted in filters):
            await refuse(context, "filters_json must be an array of objects")
        if len(filters) > MOST_FILTERS:
            await refuse(context, f"a run has at most {MOST_FILTERS} filters")
        try:
            await self._subscriptions.subscribe(request.tenant, request.run_id, list(map(constant_part, filters)))
        except TRANSLATED as error:
            await abort(context, error)
        return pb.SubscribeResponse()

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Context) -> pb.UnsubscribeResponse:
        await _check_run(context, request.tenant, request.run_id)
        try:
            await self._subscriptions.unsubscribe(request.tenant, request.run_id)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.UnsubscribeResponse()


async def _check_run(context: Context, tenant: str, run_id: str) -> None:
    await check(context, tenant=tenant, run_id=run_id)
    if tenant_of(run_id) != tenant:
        await refuse(context, f"the run {run_id} is not one of tenant {tenant}")
