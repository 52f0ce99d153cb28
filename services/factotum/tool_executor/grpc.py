"""The gRPC face: translates, decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from math import floor
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.runtime.grpc_server import MAX_MESSAGE_BYTES
from factotum.runtime.tool_specs import message_of
from factotum.sdk.errors import ToolError
from factotum.tool_executor.authorising import Authorising
from factotum.tool_executor.calls import Answer, Approval, Origin, SecretMarks
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.errors import CallRefused, retry_after
from factotum.tool_executor.execution import Executor, check_key, check_tenant
from factotum.tool_executor.grpc_policy import PolicyCalls
from factotum.tool_executor.grpc_sources import SourceCalls
from factotum.tool_executor.grpc_status import TRANSLATED, Context, abort
from factotum.tool_executor.ledger import Entry, Ledger, State
from factotum.tool_executor.probing import Prober
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.resolution import Resolver
from factotum.tool_executor.sources.adding import Sources

SERVICE = "factotum.api.tools.v1.ToolExecutorService"
DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
# What an answer may hold, a little below what a message may.
MOST_SCHEMA_BYTES = MAX_MESSAGE_BYTES - 1024 * 1024


class ToolExecutorServicer(PolicyCalls, SourceCalls, tools_pb2_grpc.ToolExecutorServiceServicer):
    """Serves `ToolExecutorService`."""

    def __init__(
        self,
        *,
        executor: Executor,
        resolver: Resolver,
        catalog: Catalog,
        sources: Sources,
        prober: Prober,
        ledger: Ledger,
        authorising: Authorising,
    ) -> None:
        PolicyCalls.__init__(self, authorising=authorising)
        SourceCalls.__init__(self, sources=sources, prober=prober)
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
        except TRANSLATED as error:
            await abort(context, error)
        return _response(request, answer)

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelResponse:
        try:
            return pb.CancelResponse(found=self._executor.cancel(request.tenant, request.idempotency_key))
        except TRANSLATED as error:
            await abort(context, error)

    async def ListTools(self, request: pb.ListToolsRequest, context: Context) -> pb.ListToolsResponse:
        try:
            check_tenant(request.tenant)
            self._catalog.check_there(request.tenant, frozenset(request.names))
            schemas = not request.without_schemas
            tools = [self._tool(request.tenant, tool, schemas=schemas) for tool in self._listed(request)]
            if schemas and sum(tool.ByteSize() for tool in tools) > MOST_SCHEMA_BYTES:
                raise CallRefused(
                    f"{len(tools)} tools with their schemas are too many: ask without_schemas, or by names"
                )
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListToolsResponse(tools=tools)

    async def DescribeTool(self, request: pb.DescribeToolRequest, context: Context) -> pb.DescribeToolResponse:
        try:
            check_tenant(request.tenant)
            tool = self._catalog.tool(request.tenant, request.tool)
            return pb.DescribeToolResponse(tool=self._tool(request.tenant, tool))
        except TRANSLATED as error:
            await abort(context, error)

    async def ListEffects(self, request: pb.ListEffectsRequest, context: Context) -> pb.ListEffectsResponse:
        try:
            check_tenant(request.tenant)
            limit = request.limit or DEFAULT_LIMIT
            if not 1 <= limit <= MAX_LIMIT:
                raise CallRefused(f"limit must be 1 to {MAX_LIMIT}")
            entries = await self._ledger.entries(
                request.tenant, states=_states(request.states), limit=limit, run_id=request.run_id
            )
        except TRANSLATED as error:
            await abort(context, error)
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
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ResolveEffectResponse(effect=_effect(entry))

    def _listed(self, request: pb.ListToolsRequest) -> list[AnyTool]:
        names = frozenset(request.names)
        return [tool for tool in self._catalog.tools(request.tenant) if not names or tool.spec.name in names]

    def _tool(self, tenant: str, tool: AnyTool, *, schemas: bool = True) -> pb.Tool:
        system = tool.spec.system
        return message_of(
            tool.spec,
            source=self._catalog.origin(tenant, system),
            schemas=schemas,
            settings=self._catalog.has_settings(tenant, system),
        )


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


def _response(request: pb.ExecuteRequest, answer: Answer) -> pb.ExecuteResponse:
    """In place: a message that is given to another one is copied into it."""
    response = pb.ExecuteResponse()
    observation = response.observation
    observation.tool = request.tool
    observation.tool_version = answer.tool_version
    observation.idempotency_key = request.idempotency_key
    observation.replayed = answer.replayed
    _put(observation.started_at, answer.started_at)
    _put(observation.ended_at, answer.ended_at)
    if answer.error is not None:
        observation.error.CopyFrom(_error(answer.error, answer.effect_possible))
    else:
        observation.output_json = answer.output_json or ""
    return response


def _error(error: ToolError, effect_possible: bool) -> pb.ToolError:
    return pb.ToolError(
        kind=pb.ErrorKind.Value(f"ERROR_KIND_{error.kind.upper()}"),
        message=error.message,
        retryable=error.retryable,
        retry_after_seconds=retry_after(error),
        effect_possible=effect_possible,
        status=error.status or 0,
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
    _put(stamp, moment)
    return stamp


def _put(stamp: Timestamp, moment: datetime) -> None:
    # What `FromDatetime` does, by a detour over the calendar.
    stamp.seconds = floor(moment.timestamp())
    stamp.nanos = moment.microsecond * 1000
