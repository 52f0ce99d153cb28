"""A plan of which policy denies a call, whatever its arguments will be, is refused before its first step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.planner.errors import CatalogUnavailable
from factotum.planner.preparation import Asked, Preparation, Prepared
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.parse import Source

TIMEOUT_SECONDS = 5.0
# As old as what is known of the tools may be. It is the executor that enforces, at each call.
FRESH_SECONDS = 10.0
MOST_KEPT = 2_000


class Permitted:
    """Prepares procedures, and asks the tool executor whether all of their calls may be made.

    That they may is kept for a moment; that one may not is asked anew each time.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(
        self, preparation: Preparation, tool_executor: grpc.aio.Channel, *, monotonic: Callable[[], float]
    ) -> None:
        self._preparation = preparation
        self._stub = tools_pb2_grpc.ToolExecutorServiceStub(tool_executor)
        self._monotonic = monotonic
        self._passed: dict[tuple[str, str, str, str], tuple[Prepared, float]] = {}

    async def prepare(self, tenant: str, source: Source, *, acting_for: str | None = None) -> Prepared:
        """As `Preparation.prepare`. Policy is asked for a run that acts for `acting_for`, for nobody if that is empty;
        None: no run begins, so that it is not known for whom."""
        prepared = await self._preparation.prepare(tenant, source)
        if acting_for is not None and prepared.calls:
            await self._ask(tenant, acting_for, prepared)
        return prepared

    async def _ask(self, tenant: str, user: str, prepared: Prepared) -> None:
        """Raises `FaultyDocument`, `CatalogUnavailable`."""
        header = prepared.source.document.document
        key = tenant, user, prepared.source.document.full_name, header.version
        passed, at = self._passed.get(key, (None, 0.0))
        if passed is prepared and self._monotonic() - at < FRESH_SECONDS:
            return
        try:
            answer = await self._stub.AuthorizePlan(question(tenant, user, prepared.calls), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if passed is prepared:
                return
            raise CatalogUnavailable(f"tool-executor: {error.code().name} {error.details()}") from error
        if faults := denials(prepared.source, prepared.calls, answer.calls):
            self._passed.pop(key, None)
            raise FaultyDocument(faults)
        if len(self._passed) >= MOST_KEPT:
            self._passed.clear()
        self._passed[key] = prepared, self._monotonic()


def question(tenant: str, user: str, calls: Sequence[Asked]) -> tools_pb2.AuthorizePlanRequest:
    """What is asked of the calls of a run that acts for `user`; empty: for nobody."""
    return tools_pb2.AuthorizePlanRequest(
        tenant=tenant,
        user=user,
        calls=[
            tools_pb2.PlannedCall(
                tool=asked.call.tool,
                arguments_json="" if asked.call.arguments is None else json.dumps(asked.call.arguments),
                unknown=asked.call.unknown,
                procedure=asked.procedure,
                secrets=tools_pb2.PlannedSecrets(**asdict(asked.call.secrets)),
            )
            for asked in calls
        ],
    )


def denials(source: Source, calls: Sequence[Asked], answers: Sequence[tools_pb2.AuthorizeResponse]) -> list[Fault]:
    """The calls that are denied whatever they will be given, each at its place in the document."""
    return [
        source.locate(Fault(asked.pointer, f"{asked.prefix}{answer.explanation}"))
        for asked, answer in zip(calls, answers, strict=True)
        if answer.verdict == tools_pb2.VERDICT_DENIED
    ]
