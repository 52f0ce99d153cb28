"""The catalog of tools, asked of the tool executor and kept for a moment: of thousands, those that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.planner.errors import CatalogUnavailable
from factotum.procedures.check import Catalog
from factotum.runtime.tool_specs import spec_of
from factotum.sdk.spec import ToolSpec

TIMEOUT_SECONDS = 5.0
FRESH_SECONDS = 10.0
MOST_KEPT = 10_000
# Asked for at once, with their schemas: some have hundreds of kilobytes.
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class _Kept:
    """`spec` None: there was no such tool."""

    asked: float
    spec: ToolSpec | None


class ToolCatalog:
    """Tools by name, for one tenant.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, channel: grpc.aio.Channel, *, monotonic: Callable[[], float]) -> None:
        self._stub = tools_pb2_grpc.ToolExecutorServiceStub(channel)
        self._monotonic = monotonic
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def get(self, tenant: str, names: Collection[str]) -> Catalog:
        """Those of the names that there are. At most ten seconds old; while the executor is away, the last ones known.

        Raises `CatalogUnavailable` where of one none is known.
        """
        now = self._monotonic()
        stale = sorted(name for name in names if not self._fresh((tenant, name), now))
        for start in range(0, len(stale), _AT_ONCE):
            await self._ask(tenant, stale[start : start + _AT_ONCE], now)
        found = ((name, self._kept[tenant, name].spec) for name in sorted(names))
        return {name: spec for name, spec in found if spec is not None}

    async def listed(self, tenant: str) -> Catalog:
        """All there are, with empty schemas. Raises `CatalogUnavailable`."""
        request = tools_pb2.ListToolsRequest(tenant=tenant, without_schemas=True)
        try:
            answer = await self._stub.ListTools(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(error) from error
        return {tool.name: spec_of(tool) for tool in answer.tools}

    def _fresh(self, key: tuple[str, str], now: float) -> bool:
        kept = self._kept.get(key)
        return kept is not None and now - kept.asked < FRESH_SECONDS

    async def _ask(self, tenant: str, names: Sequence[str], now: float) -> None:
        request = tools_pb2.ListToolsRequest(tenant=tenant, names=names)
        try:
            answer = await self._stub.ListTools(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if all((tenant, name) in self._kept for name in names):
                return
            raise _unavailable(error) from error
        if len(self._kept) + len(names) > MOST_KEPT:
            # Not those of the call that is under way.
            self._kept = {key: kept for key, kept in self._kept.items() if kept.asked == now}
        found = {tool.name: spec_of(tool) for tool in answer.tools}
        for name in names:
            spec, before = found.get(name), self._kept.get((tenant, name))
            # The same object is compared at once.
            same = before is not None and before.spec == spec
            self._kept[tenant, name] = _Kept(now, before.spec if before is not None and same else spec)


def _unavailable(error: grpc.aio.AioRpcError) -> CatalogUnavailable:
    return CatalogUnavailable(f"tool-executor: {error.code().name} {error.details()}")
