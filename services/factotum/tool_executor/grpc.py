"""The gRPC face: translates, decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.sdk.errors import ToolError
from factotum.tool_executor.calls import Answer, Approval, Origin, SecretMarks
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.errors import (
    CallRefused,
    LedgerUnavailable,
    NotAmbiguous,
    UnknownEffect,
    UnknownTool,
    retry_after,
)
from factotum.tool_executor.execution import Executor, check_key, check_tenant
from factotum.tool_executor.ledger import Entry, Ledger, State
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.resolution import Resolver

SERVICE = "factotum.api.tools.v1.ToolExecutorService"
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    CallRefused: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownTool: grpc.StatusCode.NOT_FOUND,
    UnknownEffect: grpc.StatusCode.NOT_FOUND,
    NotAmbiguous: grpc.StatusCode.FAILED_PRECONDITION,
    LedgerUnavailable: grpc.StatusCode.UNAVAILABLE,
}
_TRANSLATED: tuple[type[Exception], ...] = tuple(_STATUS)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class ToolExecutorServicer(tools_pb2_grpc.ToolExecutorServiceServicer):
    """Serves `ToolExecutorService`."""

    def __init__(self, *, executor: Executor, resolver: Resolver, catalog: Catalog, ledger: Ledger) -> None:
        self._executor = executor
        self._resolver = resolver
        self._catalog = catalog
        self._ledger = ledger

    async def Execute(self, request: pb.ExecuteRequest, context: Context) -> pb.ExecuteResponse:
        origin = request.origin
        try:
            answer = await self._executor.execute(
                tenant=request.tenant,
                tool=request.tool,
                arguments_json=request.arguments_json,
                key=request.idempotency_key,
                origin=Origin(
                    run_id=origin.run_id,
                    step=origin.step,
                    iteration=origin.iteration,
                    procedure=origin.procedure,
                    event_source=origin.event_source,
                    event_id=origin.event_id,
                    user=origin.user,
                ),
                version=request.tool_version,
                settle=request.settle,
                secrets=_marks(request),
                approval=_approval(request),
            )
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.ExecuteResponse(observation=_observation(request, answer))

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelResponse:
        try:
            return pb.CancelResponse(found=self._executor.cancel(request.tenant, request.idempotency_key))
        except _TRANSLATED as error:
            await _abort(context, error)

    async def ListTools(self, request: pb.ListToolsRequest, context: Context) -> pb.ListToolsResponse:
        try:
            check_tenant(request.tenant)
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.ListToolsResponse(tools=[_tool(tool) for tool in self._catalog.tools(request.tenant)])

    async def DescribeTool(self, request: pb.DescribeToolRequest, context: Context) -> pb.DescribeToolResponse:
        try:
            check_tenant(request.tenant)
            return pb.DescribeToolResponse(tool=_tool(self._catalog.tool(request.tenant, request.tool)))
        except _TRANSLATED as error:
            await _abort(context, error)

    async def ListEffects(self, request: pb.ListEffectsRequest, context: Context) -> pb.ListEffectsResponse:
        try:
            check_tenant(request.tenant)
            limit = request.limit or DEFAULT_LIMIT
            if not 1 <= limit <= MAX_LIMIT:
                raise CallRefused(f"limit must be 1 to {MAX_LIMIT}")
            entries = await self._ledger.entries(
                request.tenant, states=_states(request.states), limit=limit, run_id=request.run_id
            )
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.ListEffectsResponse(effects=[_effect(entry) for entry in entries])

    async def ResolveEffect(self, request: pb.ResolveEffectRequest, context: Context) -> pb.ResolveEffectResponse:
        try:
            check_tenant(request.tenant)
            check_key(request.idempotency_key)
            entry = await self._resolver.resolve(
                request.tenant,
                request.idempotency_key,
                happened=request.happened,
                output_json=_output(request),
                reason=request.reason,
            )
        except _TRANSLATED as error:
            await _abort(context, error)
        return pb.ResolveEffectResponse(effect=_effect(entry))


async def _abort(context: Context, error: Exception) -> NoReturn:
    await context.abort(_STATUS[type(error)], str(error))
    raise AssertionError("abort raises")


def _output(request: pb.ResolveEffectRequest) -> str:
    with _json_expected():
        if not isinstance(json.loads(request.output_json or "{}"), dict):
            raise CallRefused("output_json must be a JSON object")
    return request.output_json


@contextmanager
def _json_expected() -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise CallRefused("output_json is not JSON") from error


def _states(states: Any) -> list[State]:
    try:
        return [State(pb.EffectState.Name(state).removeprefix("EFFECT_STATE_").lower()) for state in states]
    except ValueError as error:
        raise CallRefused("states holds one that is not known") from error


def _marks(request: pb.ExecuteRequest) -> SecretMarks | None:
    if not request.HasField("secrets"):
        return None
    return SecretMarks(request.secrets.nonce, frozenset(request.secrets.names))


def _approval(request: pb.ExecuteRequest) -> Approval | None:
    if not request.HasField("approval"):
        return None
    return Approval(request.approval.call_sha256, tuple(request.approval.by))


def _observation(request: pb.ExecuteRequest, answer: Answer) -> pb.Observation:
    observation = pb.Observation(
        tool=request.tool,
        tool_version=answer.tool_version,
        idempotency_key=request.idempotency_key,
        replayed=answer.replayed,
        started_at=_stamp(answer.started_at),
        ended_at=_stamp(answer.ended_at),
    )
    if answer.error is not None:
        observation.error.CopyFrom(_error(answer.error, answer.effect_possible))
    else:
        observation.output_json = answer.output_json or ""
    return observation


def _error(error: ToolError, effect_possible: bool) -> pb.ToolError:
    return pb.ToolError(
        kind=pb.ErrorKind.Value(f"ERROR_KIND_{error.kind.upper()}"),
        message=error.message,
        retryable=error.retryable,
        retry_after_seconds=retry_after(error),
        effect_possible=effect_possible,
        status=error.status or 0,
    )


def _tool(tool: AnyTool) -> pb.Tool:
    spec = tool.spec
    return pb.Tool(
        name=spec.name,
        version=spec.version,
        description=spec.description,
        effect=pb.Effect.Value(f"EFFECT_{spec.effect.name}"),
        idempotency=pb.Idempotency.Value(f"IDEMPOTENCY_{spec.idempotency.name}"),
        input_schema_json=json.dumps(spec.input_schema, ensure_ascii=False),
        output_schema_json=json.dumps(spec.output_schema, ensure_ascii=False),
        timeout_seconds=spec.timeout_seconds,
    )


def _effect(entry: Entry) -> pb.EffectEntry:
    origin = entry.origin
    return pb.EffectEntry(
        tenant=entry.tenant,
        idempotency_key=entry.key,
        tool=entry.tool,
        state=pb.EffectState.Value(f"EFFECT_STATE_{entry.state.name}"),
        origin=pb.Origin(
            run_id=origin.run_id,
            step=origin.step,
            iteration=origin.iteration,
            procedure=origin.procedure,
            event_source=origin.event_source,
            event_id=origin.event_id,
            user=origin.user,
        ),
        arguments_sha256=entry.arguments_sha256,
        attempts=entry.attempts,
        reason=entry.reason,
        started_at=_stamp(entry.started_at),
        updated_at=_stamp(entry.updated_at),
    )


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
