"""The catalog of tools, asked of the tool executor and kept for a moment."""

from __future__ import annotations

import json
from collections.abc import Callable

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.planner.errors import CatalogUnavailable
from factotum.procedures.check import Catalog
from factotum.sdk.spec import Effect, Idempotency, ToolSpec

TIMEOUT_SECONDS = 5.0
FRESH_SECONDS = 10.0


class ToolCatalog:
    """Tools by name, for one tenant.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, channel: grpc.aio.Channel, *, monotonic: Callable[[], float]) -> None:
        self._stub = tools_pb2_grpc.ToolExecutorServiceStub(channel)
        self._monotonic = monotonic
        self._kept: dict[str, tuple[float, dict[str, ToolSpec]]] = {}

    async def get(self, tenant: str) -> Catalog:
        """At most ten seconds old; while the executor is away, the last one known.

        Raises `CatalogUnavailable` where none is known.
        """
        kept = self._kept.get(tenant)
        if kept is not None and self._monotonic() - kept[0] < FRESH_SECONDS:
            return kept[1]
        try:
            answer = await self._stub.ListTools(tools_pb2.ListToolsRequest(tenant=tenant), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if kept is not None:
                return kept[1]
            raise CatalogUnavailable(f"tool-executor: {error.code().name} {error.details()}") from error
        specs = {tool.name: spec_of(tool) for tool in answer.tools}
        self._kept[tenant] = (self._monotonic(), specs)
        return specs


def spec_of(tool: tools_pb2.Tool) -> ToolSpec:
    """A tool of the contract as the SDK has it."""
    return ToolSpec(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        effect=Effect(tools_pb2.Effect.Name(tool.effect).removeprefix("EFFECT_").lower()),
        idempotency=Idempotency(tools_pb2.Idempotency.Name(tool.idempotency).removeprefix("IDEMPOTENCY_").lower()),
        input_schema=json.loads(tool.input_schema_json),
        output_schema=json.loads(tool.output_schema_json),
        timeout_seconds=tool.timeout_seconds,
    )
