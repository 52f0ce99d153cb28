"""Runs that the clock starts, on a real Temporal server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from factotum.planner.grpc_status import _RUN_ID
from factotum.procedures.parse import parse
from factotum.runs import identity
from factotum.runs.client import Runs
from factotum.runs.schedules import Schedules
from factotum.runs.view import RunView
from factotum.worker.pool import PASSED_THROUGH
from factotum.workflows.contract import RunInput
from factotum.workflows.recurrence import Recurrence
from tests.support.temporal import temporal_server

T = TypeVar("T")


@workflow.defn(dynamic=True, sandboxed=False)
class Ending:
    """A run of any procedure: ends at once, one whose name says so in failure."""

    @workflow.run
    async def run(self, _: Sequence[RawValue]) -> Any:
        if workflow.info().workflow_type == "failing":
            raise ApplicationError("as its name says", non_retryable=True)
        return "done"


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[Client]:
    restrictions = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
    async with (
        temporal_server() as environment,
        Worker(
            environment.client,
            task_queue="clock",
            workflows=[Ending, Recurrence],
            workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
        ),
    ):
        yield environment.client


@pytest.fixture
def schedules(client: Client) -> Schedules:
    return Schedules(client, task_queue="clock")


@pytest.fixture
def runs(client: Client) -> Runs:
    return Runs(client, task_queue="clock", ui_url="")


async def put(schedules: Schedules, schedule: str, name: str, version: str = "1.0.0", tenant: str = "acme") -> None:
    header = f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '{version}'}}"
    source = parse(f"{header}\nschedule: {schedule}\ndo:\n  - a: {{set: {{x: 1}}}}\n")
    await schedules.put(RunInput(tenant=tenant, document=source.raw), source.document)


async def until(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    async with asyncio.timeout(15):
        while not enough(found := await look()):
            await asyncio.sleep(0.1)
        return found


async def ended(runs: Runs, procedure: str, count: int) -> list[RunView]:
    """Oldest first, once so many have ended."""

    async def look() -> list[RunView]:
        found = await runs.list("acme", limit=100, procedure=procedure)
        return sorted((view for view in found if view.ended_at), key=lambda view: view.started_at)

    return await until(look, lambda found: len(found) >= count)


async def test_every_second_is_every_second(schedules: Schedules, runs: Runs) -> None:
    await put(schedules, "{every: {seconds: 1}}", "tick")
    found = await ended(runs, "test/tick", 2)
    await schedules.remove("acme", "test/tick")
    for view in found:
        assert (identity.tenant_of(view.id), view.tenant, view.procedure_version) == ("acme", "acme", "1.0.0")
        assert view.id.startswith(identity.recurring_id(tenant="acme", procedure="test/tick") + "-")
        assert _RUN_ID.fullmatch(view.id)
    assert (await runs.get("acme", found[0].id)).output == "done"
    assert 0.5 < (found[1].started_at - found[0].started_at).total_seconds() < 1.5


async def test_cron_is_read_as_crontab_does(client: Client, schedules: Schedules) -> None:
    await put(schedules, "{cron: '30 6 13 * FRI'}", "fridays")
    handle = client.get_schedule_handle("acme.test.fridays")
    times = (await handle.describe()).info.next_action_times
    assert {(moment.hour, moment.minute) for moment in times} == {(6, 30)}
    assert {moment.weekday() == 4 for moment in times} == {True, False}
    assert all(moment.weekday() == 4 or moment.day == 13 for moment in times)


async def test_the_same_again_changes_nothing_and_a_new_version_everything(
    client: Client, schedules: Schedules
) -> None:
    handle = client.get_schedule_handle("acme.test.daily")

    async def version() -> str:
        action: Any = (await handle.describe()).schedule.action
        (found,) = await client.data_converter.decode([action.memo["procedure_version"]])
        return str(found)

    # As several planners do when they start.
    await asyncio.gather(*(put(schedules, "{cron: '0 0 * * *'}", "daily") for _ in range(3)))
    assert (await handle.describe()).info.last_updated_at is None
    await handle.pause(note="on holiday")
    paused_at = (await handle.describe()).info.last_updated_at
    await put(schedules, "{cron: '0 0 * * *'}", "daily")
    assert (await handle.describe()).info.last_updated_at == paused_at
    assert await version() == "1.0.0"
    await put(schedules, "{cron: '0 1 * * *'}", "daily", version="1.1.0")
    described = await handle.describe()
    assert await version() == "1.1.0"
    assert {moment.hour for moment in described.info.next_action_times} == {1}
    assert (described.schedule.state.paused, described.schedule.state.note) == (True, "on holiday")


async def test_what_is_not_wanted_goes(client: Client, schedules: Schedules) -> None:
    await put(schedules, "{cron: '0 0 * * *'}", "stays", tenant="globex")
    await put(schedules, "{cron: '0 0 * * *'}", "goes", tenant="globex")
    await put(schedules, "{after: P1D}", "goes-too", tenant="globex")
    gone: set[str] = set()

    async def prune() -> set[str]:
        gone.update(await schedules.prune([("globex", "test/stays")]))
        return gone

    await until(prune, {"globex.test.goes", "globex.test.goes-too"}.issubset)
    assert "globex.test.stays" not in gone
    with pytest.raises(RPCError, match="not found"):
        await client.get_schedule_handle("globex.test.goes").describe()
    recurrence = await client.get_workflow_handle("globex.test.goes-too").describe()
    assert recurrence.status is WorkflowExecutionStatus.TERMINATED
    await client.get_schedule_handle("globex.test.stays").describe()
    await schedules.remove("globex", "test/never-was")


async def test_after_begins_when_the_run_has_ended_however_it_ended(
    client: Client, schedules: Schedules, runs: Runs
) -> None:
    await put(schedules, "{after: {seconds: 2}}", "failing")
    first, second = (await ended(runs, "test/failing", 2))[:2]
    assert first.ended_at is not None
    assert (second.started_at - first.ended_at).total_seconds() >= 2
    assert (first.procedure_version, first.failure) == ("1.0.0", "as its name says")
    assert _RUN_ID.fullmatch(first.id) and identity.tenant_of(first.id) == "acme"
    # The recurrence itself is nobody's run.
    assert {view.procedure for view in await runs.list("acme", limit=100, procedure="test/failing")} == {"test/failing"}
    await asyncio.gather(*(put(schedules, "{after: {seconds: 1}}", "failing", version="2.0.0") for _ in range(2)))
    await until(lambda: ended(runs, "test/failing", 3), lambda found: found[-1].procedure_version == "2.0.0")
    await put(schedules, "{cron: '0 0 1 1 *'}", "failing", version="3.0.0")
    recurrence = await client.get_workflow_handle("acme.test.failing").describe()
    assert recurrence.status is WorkflowExecutionStatus.TERMINATED
