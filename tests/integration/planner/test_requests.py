"""What is asked of the planner by hand, over gRPC, with a real Temporal server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import RawValue
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.planner.catalog import ToolCatalog
from factotum.planner.fetching import Fetching
from factotum.planner.grpc import SERVICE, PlannerServicer
from factotum.planner.library import Library
from factotum.planner.main import SCHEMAS
from factotum.planner.permission import Permitted
from factotum.planner.preparation import Preparation
from factotum.planner.requests import Requests
from factotum.planner.scheduling import Scheduling
from factotum.planner.starting import Starting
from factotum.planner.store_file import StoreFile
from factotum.planner.subscriptions import Subscriptions
from factotum.runs.client import Runs
from factotum.runs.schedules import Schedules
from factotum.runtime import clock
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings
from factotum.workflows.contract import RunInput
from tests.support.executor import scripted_executor
from tests.support.library import filed
from tests.support.temporal import temporal_server


@workflow.defn(dynamic=True)
class Waiting:
    """A run of any procedure: its output is its input, but for one that waits for ever."""

    @workflow.run
    async def run(self, arguments: Sequence[RawValue]) -> Any:
        if workflow.info().workflow_type == "endless":
            await workflow.wait_condition(lambda: False)
        return workflow.payload_converter().from_payload(arguments[0].payload, RunInput).input


@dataclass
class Bench:
    planner: planner_pb2_grpc.PlannerServiceAsyncStub
    client: Client
    library: Library
    scheduling: Scheduling

    async def start(self, procedure: str, **fields: str) -> pb.StartRunResponse:
        fields = {"tenant": "acme", "request_id": "r-1", **fields}
        return await self.planner.StartRun(pb.StartRunRequest(procedure=procedure, **fields))

    async def register(self, document: str, tenant: str = "acme") -> pb.RegisterProcedureResponse:
        return await self.planner.RegisterProcedure(pb.RegisterProcedureRequest(tenant=tenant, document=document))


def text(name: str, version: str = "1.0.0", rest: str = "", do: str = "- a: {set: {x: 1}}") -> str:
    header = f"document: {{dsl: '1.0.3', namespace: t, name: {name}, version: '{version}'}}"
    return f"{header}\n{rest}\ndo:\n  {do}\n"


SHELF = (
    text("echo", rest="input: {schema: {document: {type: object, required: [id]}}}"),
    text("endless"),
    text("nightly", rest="schedule: {cron: '0 2 * * *'}"),
    text("broken", rest="schedule: {cron: '0 3 * * *'}", do="- a: {call: no.tool}"),
)


@pytest.fixture(scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    path = tmp_path_factory.mktemp("planner") / "store.sqlite3"
    async with (
        temporal_server() as environment,
        scripted_executor() as executor,
        channel(executor.address) as tools,
        StoreFile(path, SCHEMAS) as file,
        Subscriptions(file, path, seconds=time.time) as subscriptions,
        Worker(environment.client, task_queue="q", workflows=[Waiting], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        library = Library(file)
        await library.shelve(filed(*SHELF), clock.now())
        runs = Runs(environment.client, task_queue="q", ui_url="http://ui")
        fetching = Fetching(library=library, channel=tools, roots=[], new_key=str)
        preparation = Permitted(
            Preparation(catalog=ToolCatalog(tools, monotonic=time.monotonic), fetching=fetching),
            tools,
            monotonic=time.monotonic,
        )
        scheduling = Scheduling(
            library=library,
            preparation=preparation,
            schedules=Schedules(environment.client, task_queue="q"),
            tenants=["acme"],
            now=clock.now,
        )
        starting = Starting(library=library, subscriptions=subscriptions, runs=runs, now=clock.now)
        requests = Requests(
            library=library, preparation=preparation, scheduling=scheduling, starting=starting, now=clock.now
        )
        unused: Any = None
        servicer = PlannerServicer(
            intake=unused,
            library=library,
            requests=requests,
            runs=runs,
            subscriptions=subscriptions,
            decisions=unused,
            groups=unused,
        )
        server = GrpcServer(
            GrpcSettings(port=0),
            [SERVICE],
            [lambda it: planner_pb2_grpc.add_PlannerServiceServicer_to_server(servicer, it)],
        )
        await server.start()
        async with channel(f"127.0.0.1:{server.port}") as connection:
            yield Bench(planner_pb2_grpc.PlannerServiceStub(connection), environment.client, library, scheduling)
        await server.stop()


def refusal(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> tuple[grpc.StatusCode, str]:
    return error.value.code(), error.value.details() or ""


async def test_one_request_is_one_run(bench: Bench) -> None:
    first = await bench.start("t/echo", input_json='{"id": 7}')
    again = await bench.start("t/echo", input_json='{"id": 8}')
    other = await bench.start("t/echo", input_json='{"id": 9}', request_id="r-2")
    assert (first.started, again.started, other.started) == (True, False, True)
    assert first.plan.run_id == again.plan.run_id != other.plan.run_id
    assert await bench.client.get_workflow_handle(first.plan.run_id).result() == {"id": 7}
    run = (await bench.planner.GetRun(pb.GetRunRequest(tenant="acme", run_id=first.plan.run_id))).run
    assert (run.procedure, run.procedure_version, run.event_type) == ("t/echo", "1.0.0", "")


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"procedure": "t/echo", "input_json": "{}"}, grpc.StatusCode.INVALID_ARGUMENT, "'id' is a required property"),
        ({"procedure": "t/echo"}, grpc.StatusCode.INVALID_ARGUMENT, "the input does not fit t/echo: $: None is not"),
        ({"procedure": "t/echo", "input_json": "{"}, grpc.StatusCode.INVALID_ARGUMENT, "input_json is not JSON"),
        ({"procedure": "t/endless", "request_id": ""}, grpc.StatusCode.INVALID_ARGUMENT, "1 to 256 characters"),
        ({"procedure": "t/endless", "request_id": "x" * 257}, grpc.StatusCode.INVALID_ARGUMENT, "1 to 256"),
        ({"procedure": ""}, grpc.StatusCode.INVALID_ARGUMENT, "namespace/name"),
        ({"procedure": "t/echo", "version": "1"}, grpc.StatusCode.INVALID_ARGUMENT, "semantic version"),
        ({"procedure": "t/nobody"}, grpc.StatusCode.NOT_FOUND, "tenant acme has no procedure t/nobody"),
        ({"procedure": "t/echo", "version": "2.0.0"}, grpc.StatusCode.NOT_FOUND, "has no procedure t/echo 2.0.0"),
        ({"procedure": "t/broken"}, grpc.StatusCode.FAILED_PRECONDITION, "there is no tool `no.tool`"),
    ],
)
async def test_what_is_refused(bench: Bench, fields: dict[str, str], code: grpc.StatusCode, words: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.start(**{"request_id": "refused", **fields})
    assert refusal(refused)[0] is code and words in refusal(refused)[1]


async def test_a_run_is_cancelled_once_and_by_its_tenant(bench: Bench) -> None:
    run_id = (await bench.start("t/endless", request_id="c")).plan.run_id
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.planner.CancelRun(pb.CancelRunRequest(tenant="globex", run_id=run_id))
    assert refusal(refused)[0] is grpc.StatusCode.NOT_FOUND
    await bench.planner.CancelRun(pb.CancelRunRequest(tenant="acme", run_id=run_id))
    async for answer in bench.planner.WatchRun(pb.WatchRunRequest(tenant="acme", run_id=run_id)):
        last = answer.run
    assert last.status == pb.RUN_STATUS_CANCELLED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.planner.CancelRun(pb.CancelRunRequest(tenant="acme", run_id=run_id))
    assert refusal(refused) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"the run {run_id} has ended: it is cancelled",
    )


async def test_versions_are_registered_shown_and_started(bench: Bench) -> None:
    assert (await bench.register(text("grows"))).added
    assert not (await bench.register(text("grows"))).added
    assert (await bench.register(text("grows", "1.1.0"))).added
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.register(text("grows", do="- b: {set: {x: 1}}"))
    assert refusal(refused)[0] is grpc.StatusCode.ALREADY_EXISTS and "raise the version" in refusal(refused)[1]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.register(text("grows", "2.0.0", do="- b: {call: no.tool}"))
    assert refusal(refused)[0] is grpc.StatusCode.FAILED_PRECONDITION
    listed = await bench.planner.ListProcedures(pb.ListProceduresRequest(tenant="acme"))
    (grows,) = [found for found in listed.procedures if found.procedure == "t/grows"]
    assert (grows.version, list(grows.versions)) == ("1.1.0", ["1.1.0", "1.0.0"])
    others = await bench.planner.ListProcedures(pb.ListProceduresRequest(tenant="globex"))
    assert "t/grows" not in {found.procedure for found in others.procedures}
    old = await bench.planner.GetProcedure(pb.GetProcedureRequest(tenant="acme", procedure="t/grows", version="1.0.0"))
    assert old.document == text("grows")
    assert (await bench.start("t/grows")).plan.procedure_version == "1.1.0"
    assert (await bench.start("t/grows", version="1.0.0", request_id="o")).plan.procedure_version == "1.0.0"


async def scheduled(bench: Bench) -> set[str]:
    return {found.id async for found in await bench.client.list_schedules()}


async def test_schedules_follow_the_library(bench: Bench) -> None:
    await bench.scheduling.reconcile()
    await bench.scheduling.reconcile()
    timed = "schedule: {cron: '0 4 * * *'}"
    await bench.register(text("timed", rest=timed))
    await bench.register(text("timed", rest=timed), tenant="globex")
    await bench.scheduling.reconcile()
    with pytest.raises(RPCError, match="not found"):
        await bench.client.get_schedule_handle("globex.t.nightly").describe()
    async with asyncio.timeout(15):
        # The folder's is for the tenants of the setting only; a broken one is for none.
        while await scheduled(bench) != {"acme.t.nightly", "acme.t.timed", "globex.t.timed"}:
            await asyncio.sleep(0.1)
    await bench.register(text("timed", "1.1.0"), tenant="globex")
    await bench.library.shelve(filed(*SHELF[:2]), clock.now())
    await bench.scheduling.reconcile()
    async with asyncio.timeout(15):
        while await scheduled(bench) != {"acme.t.timed"}:
            await asyncio.sleep(0.1)


async def test_a_wrong_time_is_refused_where_it_stands(bench: Bench) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await bench.register(text("wrong", rest="schedule: {cron: '0 25 * * *'}"))
    assert refusal(refused)[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert "2:12: /schedule/cron: `0 25 * * *`: bad hour" in refusal(refused)[1]
