"""A tool executor for tests of what is above it: a real gRPC server whose answers are a table."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.runtime.grpc_server import MAX_MESSAGE_BYTES
from factotum.sdk.errors import NotDone, RateLimited, ToolError
from factotum.sdk.spec import ToolSpec

Answer = Callable[[dict[str, Any]], Any]


class ScriptedExecutor(tools_pb2_grpc.ToolExecutorServiceServicer):
    """Answers `Execute` from `answers` by tool; an answer returns JSON or raises a `ToolError`."""

    def __init__(self, specs: list[ToolSpec] | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        # What a request to settle is answered with, by tool; none: the effect did not happen.
        self.settled: dict[str, Answer] = {}
        self.requests: list[tools_pb2.ExecuteRequest] = []
        # Whom `Cancel` asked to end, as (tenant, key).
        self.cancels: list[tuple[str, str]] = []
        self.specs = specs or []
        # What policy forbids whatever the arguments, with why.
        self.denied: dict[str, str] = {}
        self.away = False
        self.asked: list[tools_pb2.AuthorizePlanRequest] = []
        self.address = ""

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        """What was asked for, requests to settle left out."""
        return [(request.tool, json.loads(request.arguments_json)) for request in self.requests if not request.settle]

    async def Execute(self, request: tools_pb2.ExecuteRequest, context: Any) -> tools_pb2.ExecuteResponse:
        self.requests.append(request)
        observation = tools_pb2.Observation(tool=request.tool, idempotency_key=request.idempotency_key)
        try:
            chosen = (
                self.settled.get(request.tool, _not_done) if request.settle else self.answers.get(request.tool, _empty)
            )
            answer = chosen(json.loads(request.arguments_json))
            observation.output_json = json.dumps(await answer if hasattr(answer, "__await__") else answer)
        except ToolError as error:
            observation.error.CopyFrom(
                tools_pb2.ToolError(
                    kind=tools_pb2.ErrorKind.Value(f"ERROR_KIND_{error.kind.upper()}"),
                    message=error.message,
                    retryable=error.retryable,
                    retry_after_seconds=(error.retry_after or 0) if isinstance(error, RateLimited) else 0,
                    effect_possible=error.effect_possible,
                    status=error.status or 0,
                )
            )
        return tools_pb2.ExecuteResponse(observation=observation)

    async def Cancel(self, request: tools_pb2.CancelRequest, context: Any) -> tools_pb2.CancelResponse:
        self.cancels.append((request.tenant, request.idempotency_key))
        return tools_pb2.CancelResponse(found=True)

    async def AuthorizePlan(
        self, request: tools_pb2.AuthorizePlanRequest, context: Any
    ) -> tools_pb2.AuthorizePlanResponse:
        if self.away:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
        self.asked.append(request)
        return tools_pb2.AuthorizePlanResponse(
            calls=[
                tools_pb2.AuthorizeResponse(
                    verdict=tools_pb2.VERDICT_DENIED if call.tool in self.denied else tools_pb2.VERDICT_ALLOWED,
                    explanation=self.denied.get(call.tool, ""),
                )
                for call in request.calls
            ]
        )

    async def ListTools(self, request: tools_pb2.ListToolsRequest, context: Any) -> tools_pb2.ListToolsResponse:
        return tools_pb2.ListToolsResponse(
            tools=[
                tools_pb2.Tool(
                    name=spec.name,
                    version=spec.version,
                    description=spec.description,
                    effect=tools_pb2.Effect.Value(f"EFFECT_{spec.effect.name}"),
                    idempotency=tools_pb2.Idempotency.Value(f"IDEMPOTENCY_{spec.idempotency.name}"),
                    input_schema_json=json.dumps(spec.input_schema),
                    output_schema_json=json.dumps(spec.output_schema),
                    timeout_seconds=spec.timeout_seconds,
                )
                for spec in self.specs
            ]
        )


def _empty(_: dict[str, Any]) -> Any:
    return {}


def _not_done(_: dict[str, Any]) -> Any:
    raise NotDone("nothing of the kind happened")


@asynccontextmanager
async def scripted_executor(specs: list[ToolSpec] | None = None) -> AsyncIterator[ScriptedExecutor]:
    """A server on a free port of loopback; `address` says where."""
    servicer = ScriptedExecutor(specs)
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)])
    tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)
