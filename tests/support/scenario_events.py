"""The planner of scenarios, as far as events go: it takes subscriptions, and tells who wants what."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc

from factotum.api.planner.v1 import planner_pb2, planner_pb2_grpc
from factotum.procedures.event_matching import agrees
from tests.support.scenario import Json

# A run that listens subscribes at once.
PATIENCE_SECONDS = 10.0


class Subscriptions(planner_pb2_grpc.PlannerServiceServicer):
    """Keeps the filters of each run."""

    def __init__(self) -> None:
        self._filters: dict[str, list[dict[str, Json]]] = {}
        self._subscribed: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.address = ""

    async def Subscribe(self, request: planner_pb2.SubscribeRequest, context: Any) -> planner_pb2.SubscribeResponse:
        self._filters[request.run_id] = json.loads(request.filters_json)
        self._subscribed[request.run_id].set()
        return planner_pb2.SubscribeResponse()

    async def Unsubscribe(
        self, request: planner_pb2.UnsubscribeRequest, context: Any
    ) -> planner_pb2.UnsubscribeResponse:
        self._filters.pop(request.run_id, None)
        return planner_pb2.UnsubscribeResponse()

    @property
    def runs(self) -> list[str]:
        """Those that hear of events now."""
        return list(self._filters)

    async def wanted(self, run_id: str, events: list[dict[str, Json]]) -> list[dict[str, Json]]:
        """The events that the run is to be told of. Raises `TimeoutError` if it never subscribes."""
        await asyncio.wait_for(self._subscribed[run_id].wait(), PATIENCE_SECONDS)
        filters = self._filters.get(run_id, [])
        return [event for event in events if any(agrees(wanted, event) for wanted in filters)]


@asynccontextmanager
async def subscriptions() -> AsyncIterator[Subscriptions]:
    """Serves on a free port of loopback."""
    servicer = Subscriptions()
    server = grpc.aio.server()
    planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)
