"""The main job on the whole stack: from a signed webhook to what stands in every system."""

from __future__ import annotations

import asyncio
import json

import pytest

from factotum.api.planner.v1 import planner_pb2
from tests.e2e.house import House, assert_onboarded, assert_taken_back
from tests.support.scripted_http import Answer, scripted_http
from tests.support.world import World, eventually

COMPLETED, FAILED = planner_pb2.RUN_STATUS_COMPLETED, planner_pb2.RUN_STATUS_FAILED
# HR dates the end of an employment by the clock: what is to be ahead of it must be so whenever this runs.
LONG_AHEAD = "2199-01-07"


async def test_a_hire_at_hr_is_onboarded_and_remembered(house: House) -> None:
    async with house.world() as world:
        employee = await world.hire("Grace", "Hopper", department="Sales", timezone="America/New_York")
        record = await eventually(
            lambda: _status(world, employee), lambda status: status == "Completed", what="the onboarding"
        )
        assert record == "Completed"
        (account,) = await world.accounts(employee)
        assert await world.groups_of(account["id"]) == ["everyone", "sales"]
    found = await eventually(
        lambda: house.recall("what did we do for Grace Hopper"),
        lambda records: bool(records) and "Grace Hopper" in records[0].text,
        what="the episode in memory",
    )
    run = await house.ended(found[0].run_id)
    assert (run.status, run.procedure) == (COMPLETED, "hr/employee-onboarding")
    answer = house.cli_json("memory", "search", "what did we do for Grace Hopper")
    episodes = [found["record"] for found in answer["recollections"] if found["record"]["kind"] == "episode"]
    assert episodes[0]["run_id"] == run.id


async def _status(world: World, employee: str) -> str:
    return str((await world.employee(employee)).get("onboardingStatus"))


async def test_the_same_webhook_ten_times_at_once_is_one_of_everything(house: House) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        body = world.created(employee)
        runs = await asyncio.gather(*(house.run_of(world, employee, body) for _ in range(10)))
        assert len(set(runs)) == 1
        assert (await house.ended(runs[0])).status == COMPLETED
        await house.run_of(world, employee, body)  # and once more, after the run has ended
        await asyncio.sleep(1)
        await assert_onboarded(world, employee, email)
        listed = [run for run in house.cli_json("runs")["runs"] if run["id"] == runs[0]]
        assert len(listed) == 1
        episodes = await eventually(lambda: house.recall("onboarding", run_id=runs[0]), bool, what="the episode")
        assert len(episodes) == 1


async def test_two_tenants_with_one_employee_id_never_meet(house: House) -> None:
    async with house.world("acme") as acme, house.world("globex") as globex:
        at_acme, acme_email = house.employ("acme")
        at_globex, globex_email = house.employ("globex")
        while at_acme != at_globex:  # ids count by company: let the smaller one catch up
            if int(at_acme) < int(at_globex):
                at_acme, acme_email = house.employ("acme")
            else:
                at_globex, globex_email = house.employ("globex")
        runs = {
            "acme": await house.run_of(acme, at_acme, acme.created(at_acme)),
            "globex": await house.run_of(globex, at_globex, globex.created(at_globex)),
        }
        for tenant, run_id in runs.items():
            assert (await house.ended(run_id, tenant)).status == COMPLETED
        await assert_onboarded(acme, at_acme, acme_email)
        await assert_onboarded(globex, at_globex, globex_email)

        assert await house.get_run(runs["acme"], "globex") is None
        assert await house.get_run(runs["globex"], "acme") is None
        for tenant, other in (("acme", "globex"), ("globex", "acme")):
            await eventually(lambda t=tenant: house.recall("onboarding", tenant=t, run_id=runs[t]), bool)
            assert await house.recall("onboarding", tenant=tenant, run_id=runs[other]) == []
            seen = {record.run_id.partition(".")[0] for record in await house.recall("onboarding", tenant=tenant)}
            assert seen == {tenant}
            effects = await house.effects(runs[other], tenant=tenant)
            assert effects == []


async def test_a_user_name_of_another_person_fails_the_run_with_the_systems_words(house: House) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        await world.create_account(email, external_id="somebody-else")
        run = await house.ended(await house.run_of(world, employee, world.created(employee)))
        assert run.status == FAILED
        assert run.failure.startswith("/do/1/createAccount: conflict")
        assert "already in use" in run.failure  # the words of the SCIM server
        assert await world.accounts(employee) == []
        assert await world.mails(email) == []
        assert await world.trainings(email) == []


@pytest.mark.parametrize("tool", ["identity.create_user", "identity.add_to_group"])
async def test_a_refusal_ends_the_run_in_the_systems_words(house: House, tool: str) -> None:
    words = "addresses of this domain are not taken"
    scim_error = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": "400", "detail": words}
    refusal = Answer(400, json.dumps(scim_error).encode(), {"Content-Type": "application/scim+json"})
    async with house.world() as world, scripted_http(refusal) as refusing:
        employee, email = house.employ()
        house.redirect(tool, refusing.url)
        run = await house.ended(await house.run_of(world, employee, world.created(employee)))
        assert run.status == FAILED
        assert f"answered 400: {words}" in run.failure
        if tool == "identity.create_user":
            assert [step.tool for step in run.steps] == ["hr.get_employee", tool]
            assert await world.accounts(employee) == []
            assert await world.mails(email) == []
        else:
            await assert_taken_back(house, world, run, employee, email)


async def test_what_was_done_is_undone_in_reverse_once(house: House) -> None:
    async with house.world() as world:
        # HR refuses the time zone only where it is used: in the calendar, after account and groups.
        employee, email = house.employ(timezone="Mars/Olympus")
        run = await house.ended(await house.run_of(world, employee, world.created(employee)))
        assert "Mars/Olympus" in run.failure
        await assert_taken_back(house, world, run, employee, email)


async def test_offboarding_is_the_reverse(house: House) -> None:
    async with house.world() as world:
        employee, email = house.employ(hireDate=LONG_AHEAD)
        assert (await house.ended(await house.run_of(world, employee, world.created(employee)))).status == COMPLETED
        assert len(await world.trainings(email)) == 3
        await world.update(employee, status="Inactive")  # HR tells the gateway by itself
        await eventually(lambda: _status(world, employee), lambda status: status == "Offboarded", what="offboarding")
        (account,) = await world.accounts(employee)
        assert account["active"] is False
        assert await world.groups_of(account["id"]) == []
        assert await world.trainings(email) == []


async def test_one_trace_from_the_webhook_to_the_memory(house: House) -> None:
    async with house.world() as world:
        employee, _ = house.employ()
        run_id = await house.run_of(world, employee, world.created(employee))
        run = await house.ended(run_id)
        await eventually(lambda: house.recall("onboarding", run_id=run_id), bool, what="the episode")

        async def services() -> set[str]:
            spans = (await asyncio.to_thread(house.cli_json, "trace", run_id))["spans"]
            assert {span["trace_id"] for span in spans} == {run.trace_id}
            return {span["service"] for span in spans if "remember" in span["name"] or span["service"] != "memory"}

        wanted = {"gateway", "planner", "worker", "tool-executor", "memory"}
        await eventually(services, lambda seen: wanted <= seen, within=30, what="the trace")
