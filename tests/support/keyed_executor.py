"""What the tools of random documents answer: the same whoever asks, in the simulator and over gRPC.

An answer depends on the step and on how often it was tried. The executor does as the real one: a call whose
effect was carried out is answered from what is kept under its key.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.sdk.errors import Conflict, ToolError, Unavailable
from factotum.simulation.answers import Answer, ToolFault
from factotum.workflows.step import Step
from tests.support.executor import ScriptedExecutor, _not_done

Json = Any
# (tool, pointer, iteration, arguments as text) of one effect.
Effect = tuple[str, str, str, str]


def output(tool: str, pointer: str, iteration: str, arguments: Mapping[str, Json], tried: int) -> Json:
    """Raises `ToolError`. `tried`: how often, this time included."""
    if tool == "test.refuse":
        raise Conflict("never")
    if tool == "test.flaky" and tried == 1:
        raise Unavailable("not now")
    return {"n": len(pointer) + len(iteration), "given": arguments.get("given")}


def effect(tool: str, pointer: str, iteration: str, arguments: Mapping[str, Json]) -> Effect:
    return tool, pointer, iteration, json.dumps(arguments, sort_keys=True)


@dataclass
class SimulatedTools:
    """`simulation.answers.Answers`."""

    done: list[Effect] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def to(self, step: Step, _: list[str], attempt: int) -> Answer:
        try:
            found = output(step.tool, step.pointer, step.iteration, step.arguments, attempt)
        except ToolError as error:
            return Answer(fault=ToolFault(kind=error.kind, message=error.message))
        self.done.append(effect(step.tool, step.pointer, step.iteration, step.arguments))
        return Answer(output=found)


class KeyedExecutor(ScriptedExecutor):
    """Carries out every effect once.

    Attributes:
        done: the effects carried out, by run.
        changed: keys under which another call came than before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.done: dict[str, list[Effect]] = {}
        self.changed: list[str] = []
        self._kept: dict[str, tuple[Effect, Json]] = {}
        self._tried = Counter[str]()

    async def Execute(self, request: tools_pb2.ExecuteRequest, context: Any) -> tools_pb2.ExecuteResponse:
        observation = tools_pb2.Observation(tool=request.tool, idempotency_key=request.idempotency_key)
        try:
            observation.output_json = json.dumps(_not_done({}) if request.settle else self._carry_out(request))
        except ToolError as error:
            observation.error.CopyFrom(
                tools_pb2.ToolError(
                    kind=tools_pb2.ErrorKind.Value(f"ERROR_KIND_{error.kind.upper()}"),
                    message=error.message,
                    retryable=error.retryable,
                    effect_possible=error.effect_possible,
                )
            )
        return tools_pb2.ExecuteResponse(observation=observation)

    def _carry_out(self, request: tools_pb2.ExecuteRequest) -> Json:
        key, arguments = request.idempotency_key, json.loads(request.arguments_json)
        asked = effect(request.tool, request.origin.step, request.origin.iteration, arguments)
        if key in self._kept:
            before, answer = self._kept[key]
            if before != asked:
                self.changed.append(key)
            return answer
        self._tried[key] += 1
        answer = output(request.tool, request.origin.step, request.origin.iteration, arguments, self._tried[key])
        self._kept[key] = asked, answer
        self.done.setdefault(request.origin.run_id, []).append(asked)
        return answer


@asynccontextmanager
async def keyed_executor() -> AsyncIterator[KeyedExecutor]:
    """A server on a free port of loopback; `address` says where."""
    servicer = KeyedExecutor()
    server = grpc.aio.server()
    tools_pb2_grpc.add_ToolExecutorServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield servicer
    finally:
        await server.stop(None)
