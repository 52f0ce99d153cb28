"""What an end-to-end test has at hand: the stack, its levers, the tenants' systems and their runs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from factotum.api.memory.v1 import memory_pb2, memory_pb2_grpc
from factotum.api.planner.v1 import planner_pb2, planner_pb2_grpc
from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.dev.sandbox import hr_store
from factotum.dev.state import StackState
from factotum.runtime import clock
from factotum.runtime.grpc_client import channel
from tests.support.stack import Stack
from tests.support.world import Addresses, World, eventually

ENDED = {
    planner_pb2.RUN_STATUS_COMPLETED,
    planner_pb2.RUN_STATUS_FAILED,
    planner_pb2.RUN_STATUS_CANCELLED,
    planner_pb2.RUN_STATUS_TERMINATED,
    planner_pb2.RUN_STATUS_TIMED_OUT,
}
SOURCES = {"acme": "bamboohr", "globex": "bamboohr-globex"}
DEPARTMENT = "Engineering"


T = TypeVar("T")


class House:
    """A running stack."""

    def __init__(self, stack: Stack, levers: Path) -> None:
        self.stack = stack
        self._levers = levers
        self._people = 0

    @property
    def state(self) -> StackState:
        return self.stack.state()

    async def ready(self) -> None:
        await asyncio.to_thread(self.stack.wait_ready)

    def kill(self, part: str) -> None:
        """SIGKILL; the stack starts it again."""
        self.stack.kill(part)

    # Levers

    def hold(self, tool: str) -> None:
        (self._levers / f"hold.{tool}").touch()

    def release(self, tool: str) -> None:
        (self._levers / f"hold.{tool}").unlink()

    def crash_after(self, tool: str) -> None:
        (self._levers / f"crash.{tool}").touch()

    def redirect(self, tool: str, url: str) -> None:
        """Calls of the tool go to this base URL."""
        (self._levers / f"redirect.{tool}").write_text(url)

    def crashed(self, tool: str) -> bool:
        return not (self._levers / f"crash.{tool}").exists()

    def release_all(self) -> None:
        for lever in self._levers.iterdir():
            lever.unlink()

    # People

    @asynccontextmanager
    async def world(self, tenant: str = "acme") -> AsyncIterator[World]:
        state = self.state
        addresses = Addresses(
            gateway=state.gateway_url,
            hr=state.address("sandbox-hr", "http"),
            identity=state.address("sandbox-identity", "http"),
            calendar=state.address("sandbox-calendar", "http"),
            mail_archive=state.address("sandbox-mail", "archive"),
        )
        world = World(tenant, addresses, state.secrets / tenant, source=SOURCES[tenant])
        try:
            yield world
        finally:
            await world.close()

    def employ(self, tenant: str = "acme", **fields: str) -> tuple[str, str]:
        """A new employee in HR's records of whom HR tells nobody: (id, work e-mail). The test sends the webhook."""
        self._people += 1
        email = f"person-{self._people}-{time.time_ns() % 10**9}@{tenant}.example"
        person = {
            "firstName": "Ada",
            "lastName": f"Lovelace-{self._people}",
            "workEmail": email,
            "department": DEPARTMENT,
            "jobTitle": "Engineer",
            "hireDate": "2026-12-03",
            "timezone": "Europe/Berlin",
            "status": "Active",
            **fields,
        }
        connection = hr_store.connect(next(self.state.directory.rglob("hr.sqlite3")))
        try:
            return hr_store.HrStore(connection, {}, clock.now).create(tenant, person), person["workEmail"]
        finally:
            connection.close()

    # Runs

    async def run_of(self, world: World, employee_id: str, body: bytes) -> str:
        """Delivers a webhook and gives the id of the one run that it starts."""
        response = await world.deliver(body)
        assert response.status_code == 202, response.text
        (event,) = response.json()["events"]
        return await self.planned(world.tenant, event["id"], event["type"], employee_id, f"/hooks/{world.source}")

    async def planned(self, tenant: str, event_id: str, event_type: str, subject: str, source: str) -> str:
        event = {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": event_type,
            "tenant": tenant,
            "subject": subject,
        }
        request = planner_pb2.PlanRequest(tenant=tenant, event_json=json.dumps(event))

        async def plan() -> planner_pb2.PlanResponse:
            async with channel(self.state.planner_address) as connection:
                stub = planner_pb2_grpc.PlannerServiceStub(connection)
                return await stub.Plan(request, wait_for_ready=True, timeout=60)

        (planned,) = (await answered(plan)).plans
        return str(planned.run_id)

    async def get_run(self, run_id: str, tenant: str = "acme") -> planner_pb2.Run | None:
        """The run as it stands; None while it is not there or the planner is away."""
        async with channel(self.state.planner_address) as connection:
            stub = planner_pb2_grpc.PlannerServiceStub(connection)
            try:
                request = planner_pb2.GetRunRequest(tenant=tenant, run_id=run_id)
                return (await stub.GetRun(request, timeout=20)).run
            except grpc.aio.AioRpcError as error:
                if error.code() in (
                    grpc.StatusCode.NOT_FOUND,
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                ):
                    return None
                raise

    async def ended(self, run_id: str, tenant: str = "acme", within: float = 120) -> planner_pb2.Run:
        found = await eventually(
            lambda: self.get_run(run_id, tenant),
            lambda run: run is not None and run.status in ENDED,
            within=within,
            what=f"the end of {run_id}",
        )
        assert found is not None
        return found

    async def reached(self, run_id: str, tool: str, within: float = 60) -> planner_pb2.Step:
        """The step that calls a tool, once it is under way."""
        run = await eventually(
            lambda: self.get_run(run_id),
            lambda run: run is not None and any(step.tool == tool for step in run.steps),
            within=within,
            what=f"{tool} in {run_id}",
        )
        assert run is not None
        return next(step for step in run.steps if step.tool == tool)

    # Effects and memory

    async def effects(self, run_id: str, *states: int, tenant: str = "acme") -> list[tools_pb2.EffectEntry]:
        request = tools_pb2.ListEffectsRequest(tenant=tenant, states=states, run_id=run_id, limit=1000)

        async def ask() -> list[tools_pb2.EffectEntry]:
            async with channel(self.state.tool_executor_address) as connection:
                stub = tools_pb2_grpc.ToolExecutorServiceStub(connection)
                return list((await stub.ListEffects(request, wait_for_ready=True, timeout=60)).effects)

        return await answered(ask)

    async def recall(self, query: str, *, tenant: str = "acme", run_id: str = "") -> list[memory_pb2.Record]:
        request = memory_pb2.RecallRequest(
            tenant=tenant, query=query, kinds=[memory_pb2.KIND_EPISODE], run_id=run_id, limit=100
        )

        async def ask() -> list[memory_pb2.Record]:
            async with channel(self.state.memory_address) as connection:
                stub = memory_pb2_grpc.MemoryServiceStub(connection)
                answer = await stub.Recall(request, wait_for_ready=True, timeout=60)
                return [found.record for found in answer.recollections]

        return await answered(ask)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs the `factotum` command on this stack."""
        command = [str(Path(sys.executable).parent / "factotum"), *arguments, "--data", str(self.state.directory)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def cli_json(self, *arguments: str) -> Any:
        done = self.cli(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


async def answered(ask: Callable[[], Awaitable[T]], within: float = 60) -> T:
    """What a service answers. The test kills services: one that dies with the question on its way is asked again."""
    deadline = asyncio.get_running_loop().time() + within
    while True:
        try:
            return await ask()
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.2)


async def assert_onboarded(world: World, employee_id: str, email: str) -> None:
    """Every effect of the onboarding stands in its system exactly once."""
    accounts = await world.accounts(employee_id)
    assert [account["userName"] for account in accounts] == [email]
    assert accounts[0]["active"] is True
    assert await world.groups_of(accounts[0]["id"]) == ["engineering", "everyone"]
    assert [mail["Subject"] for mail in await world.mails(email)] == ["Welcome, Ada!"]
    trainings = await world.trainings(email)
    # 3 December 2026 is a Thursday: the third working day is the Monday after the week-end.
    assert [event["DTSTART"].dt.strftime("%a %d.%m. %H:%M") for event in trainings] == [
        "Thu 03.12. 09:30",
        "Fri 04.12. 10:00",
        "Mon 07.12. 14:00",
    ]
    assert {str(event["DTSTART"].dt.tzinfo) for event in trainings} == {"Europe/Berlin"}
    assert (await world.employee(employee_id))["onboardingStatus"] == "Completed"


async def assert_taken_back(house: House, world: World, run: planner_pb2.Run, employee_id: str, email: str) -> None:
    """What the onboarding had done is undone in reverse, each step once, and nothing of it stands in any system."""
    assert run.status == planner_pb2.RUN_STATUS_FAILED
    undone = [(step.pointer, step.iteration) for step in run.steps if step.compensation]
    done = [
        step
        for step in run.steps
        if step.status == planner_pb2.STEP_STATUS_COMPLETED
        and not step.compensation
        and step.tool in ("identity.create_user", "identity.add_to_group", "mail.send", "calendar.schedule")
    ]
    by_end = sorted(done, key=lambda step: (step.ended_at.seconds, step.ended_at.nanos), reverse=True)
    assert undone == [(step.pointer, step.iteration) for step in by_end]
    ledger = await house.effects(run.id, tools_pb2.EFFECT_STATE_DONE)
    assert len([entry for entry in ledger if entry.idempotency_key.endswith(":undo")]) == len(undone)
    (account,) = await world.accounts(employee_id)
    assert account["active"] is False
    assert await world.groups_of(account["id"]) == []
    assert await world.trainings(email) == []
    sent = ["Welcome, Ada!", "Please disregard our welcome mail"] if "mail.send" in {step.tool for step in done} else []
    assert [mail["Subject"] for mail in await world.mails(email)] == sent
    assert (await world.employee(employee_id)).get("onboardingStatus") != "Completed"
