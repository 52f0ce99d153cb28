"""Scenarios in memory: the same interpreter without Temporal, its calls over the same gRPC."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from random import Random
from typing import Any

import grpc

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.procedures.parse import parse_raw
from factotum.procedures.program import run_unbounded
from factotum.runtime import clock
from factotum.runtime.grpc_client import channel
from factotum.workflows import problem
from factotum.workflows.contract import RunInput
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem
from factotum.workflows.scope import Aborted
from factotum.workflows.step import Step
from factotum.workflows.world import Child, ChildResult
from tests.support.scenario import Json, Performance, Scenario, Task
from tests.support.scenario_run import run_input
from tests.support.scenario_tools import TENANT, ScenarioTools

PATIENCE_SECONDS = 60.0


class MemoryStage:
    """`scenario.Stage`."""

    def __init__(self, stub: tools_pb2_grpc.ToolExecutorServiceStub, tools: ScenarioTools) -> None:
        self._stub = stub
        self._tools = tools
        self._count = 0

    async def play(self, scenario: Scenario) -> Performance:
        self._count += 1
        run_id = f"{TENANT}.memory.{self._count:020x}"
        script = self._tools.begin(run_id, scenario)
        run = run_input(scenario)
        world = _World(self._stub, run_id, run)
        tasks: list[Task] = []
        interpreter = world.interpreter(run.document, run.input, run_id, tasks)
        work = asyncio.ensure_future(interpreter.run(run.input))
        await asyncio.sleep(0)
        for event in scenario.events:
            interpreter.offer(event)
        if scenario.cancel_after is not None:
            await asyncio.sleep(scenario.cancel_after)
            interpreter.abort()
            work.cancel()
        played = await _ended(work)
        return Performance(
            played.status, played.output, played.error, emitted=world.emitted, calls=script.calls, tasks=tasks
        )


async def _ended(work: asyncio.Future[Json]) -> Performance:
    try:
        return Performance("completed", output=await asyncio.wait_for(work, PATIENCE_SECONDS))
    except Problem as error:
        return Performance("failed", error=error.as_json())
    except (asyncio.CancelledError, Aborted):
        return Performance("cancelled")


class _World:
    """`world.Effects` of a run and of those nested in it."""

    def __init__(self, stub: tools_pb2_grpc.ToolExecutorServiceStub, run_id: str, run: RunInput) -> None:
        self._stub = stub
        self._run_id = run_id
        self._run = run
        self._random = Random(0)
        self.emitted: list[dict[str, Json]] = []

    def interpreter(self, document: dict[str, Json], value: Json, run_id: str, tasks: list[Task]) -> Interpreter:
        began = clock.now()
        return Interpreter(
            parse_raw(document).document,
            self,
            descriptor={
                "id": run_id,
                "definition": document,
                "input": value,
                "startedAt": {
                    "iso8601": began.isoformat(),
                    "epoch": {"seconds": int(began.timestamp()), "milliseconds": int(began.timestamp() * 1000)},
                },
            },
            raw=document,
            tenant=TENANT,
            nonce="f" * 32,
            documents=self._run.documents,
            functions=self._run.functions,
            observe=lambda seen: tasks.append(Task(seen.pointer, seen.phase)),
        )

    async def call(self, step: Step) -> Json:
        secrets = step.secrets
        request = tools_pb2.ExecuteRequest(
            tenant=self._run.tenant,
            tool=step.tool,
            arguments_json=json.dumps(step.arguments),
            idempotency_key=f"{self._run_id}:{step.run_id}:{step.pointer}:{step.iteration}",
            origin=tools_pb2.Origin(run_id=self._run_id, step=step.pointer, iteration=step.iteration),
            settle=step.settle,
            secrets=None if secrets is None else tools_pb2.SecretMarks(nonce=secrets.nonce, names=secrets.names),
        )
        observation = await self._answer(request, patient=step.patient)
        if observation.HasField("error"):
            raise _problem(observation.error).at(step.pointer)
        return json.loads(observation.output_json)

    async def _answer(self, request: tools_pb2.ExecuteRequest, *, patient: bool) -> tools_pb2.Observation:
        while True:
            try:
                response: Any = await self._stub.Execute(request)
            except grpc.aio.AioRpcError as error:
                raise Problem(problem.CONFIGURATION, 400, "refused", error.details() or "") from error
            observation: tools_pb2.Observation = response.observation
            if not (patient and observation.error.retryable):
                return observation
            await asyncio.sleep(0.1)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def rest(self) -> None:
        await asyncio.sleep(0)

    def now(self) -> datetime:
        return clock.now()

    def random(self) -> float:
        return self._random.random()

    async def evaluate(self, program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
        return run_unbounded(program, value, arguments)

    async def emit(self, event: dict[str, Json], summary: str) -> None:
        self.emitted.append(event)

    async def run_child(self, child: Child) -> ChildResult:
        run_id = f"{self._run_id}/{child.pointer}:{child.iteration}"
        nested = self.interpreter(child.document, child.input, run_id, [])
        return ChildResult(run_id, await nested.run(child.input), [])

    def should_move(self) -> bool:
        return False


def _problem(error: tools_pb2.ToolError) -> Problem:
    kind = tools_pb2.ErrorKind.Name(error.kind).removeprefix("ERROR_KIND_").lower()
    return problem.of_tool_error(
        kind, error.message, effect_possible=error.effect_possible, status=error.status or None
    )


@asynccontextmanager
async def memory_stage(tools: ScenarioTools) -> AsyncIterator[MemoryStage]:
    """Nothing but a connection to the executor, ended with the context."""
    async with channel(tools.address) as connection:
        yield MemoryStage(tools_pb2_grpc.ToolExecutorServiceStub(connection), tools)
