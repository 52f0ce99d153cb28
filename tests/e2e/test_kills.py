"""kill -9 of any process in the middle of a run: it completes, and every effect is there exactly once."""

from __future__ import annotations

import asyncio

import pytest

from factotum.api.planner.v1 import planner_pb2
from factotum.api.tools.v1 import tools_pb2
from tests.e2e.house import House, assert_onboarded, assert_taken_back
from tests.support.scripted_http import Answer, scripted_http
from tests.support.world import eventually

COMPLETED = planner_pb2.RUN_STATUS_COMPLETED


def _step(run: planner_pb2.Run, tool: str) -> planner_pb2.Step:
    return next(step for step in run.steps if step.tool == tool)


@pytest.mark.parametrize("part", ["worker", "tool-executor", "planner", "memory", "temporal"])
async def test_a_killed_process_loses_and_repeats_nothing(house: House, part: str) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        house.hold("mail.send")
        run_id = await house.run_of(world, employee, world.created(employee))
        await house.reached(run_id, "mail.send")
        house.kill(part)
        house.release("mail.send")
        await house.ready()
        assert (await house.ended(run_id, within=150)).status == COMPLETED
        await assert_onboarded(world, employee, email)
        (episode,) = await eventually(lambda: house.recall("onboarding", run_id=run_id), bool, what="the episode")
        assert episode.run_id == run_id


async def test_the_planner_killed_before_it_starts_the_run(house: House) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        house.kill("planner")
        response = await world.deliver(world.created(employee))
        assert response.status_code == 202
        (event,) = response.json()["events"]
        await house.ready()
        run_id = await house.planned("acme", event["id"], event["type"], employee, "/hooks/bamboohr")
        assert (await house.ended(run_id)).status == COMPLETED
        await assert_onboarded(world, employee, email)


@pytest.mark.parametrize(
    "tool",
    ["identity.create_user", "identity.add_to_group", "mail.send", "calendar.schedule", "hr.update_employee"],
)
async def test_the_executor_killed_between_the_effect_and_its_ledger_entry(house: House, tool: str) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        house.crash_after(tool)
        run_id = await house.run_of(world, employee, world.created(employee))
        assert (await house.ended(run_id)).status == COMPLETED
        assert house.crashed(tool)
        await assert_onboarded(world, employee, email)


@pytest.mark.parametrize("happened", [True, False])
async def test_without_a_mail_archive_a_person_decides(house: House, happened: bool) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        with house.stack.without_mail_archive():
            house.kill("tool-executor")
            await house.ready()
            house.crash_after("mail.send")
            run_id = await house.run_of(world, employee, world.created(employee))
            (entry,) = await eventually(
                lambda: house.effects(run_id, tools_pb2.EFFECT_STATE_AMBIGUOUS), bool, what="the ambiguous effect"
            )
            assert entry.tool == "mail.send"
            listed = house.cli_json("effects", "list", "--state", "ambiguous")["effects"]
            assert entry.idempotency_key in [effect["idempotency_key"] for effect in listed]
            await asyncio.sleep(7)  # the run asks again in the meantime
            assert len(await world.mails(email)) == 1
            # Not while it asks, which it does every few seconds.
            run = await eventually(
                lambda: house.get_run(run_id),
                lambda run: run is not None and _step(run, "mail.send").status == planner_pb2.STEP_STATUS_WAITING,
                what="the mail that waits for a person",
            )
            assert run is not None and run.status == planner_pb2.RUN_STATUS_RUNNING
            assert "effects resolve" in _step(run, "mail.send").last_error

            flag = "--happened" if happened else "--did-not"
            resolved = house.cli("effects", "resolve", entry.idempotency_key, flag)
            assert resolved.returncode == 0, resolved.stderr
            assert (await house.ended(run_id)).status == COMPLETED
            # The mail was sent before the crash. A person who says it was not gets a second one.
            assert len(await world.mails(email)) == (1 if happened else 2)
        house.kill("tool-executor")
        await house.ready()


async def test_a_system_that_is_down_is_waited_for(house: House) -> None:
    async with house.world() as world:
        employee, email = house.employ()
        house.hold("identity.add_to_group")
        run_id = await house.run_of(world, employee, world.created(employee))
        await house.reached(run_id, "identity.add_to_group")
        with house.stack.held_down("sandbox-identity"):
            house.release("identity.add_to_group")
            await asyncio.sleep(30)
            run = await house.get_run(run_id)
            assert run is not None and run.status == planner_pb2.RUN_STATUS_RUNNING
            assert "the identity system does not answer" in _step(run, "identity.add_to_group").last_error
        await house.ready()
        assert (await house.ended(run_id)).status == COMPLETED
        await assert_onboarded(world, employee, email)


@pytest.mark.parametrize(
    ("deed", "victim"),
    [
        ("crash", "identity.remove_from_group"),
        ("crash", "identity.deactivate_user"),
        ("kill", "worker"),
        ("kill", "temporal"),
    ],
)
async def test_a_death_while_undoing_loses_and_repeats_nothing(house: House, deed: str, victim: str) -> None:
    # At the last step, so that there is everything to undo.
    async with house.world() as world, scripted_http(Answer(400)) as refusing:
        employee, email = house.employ()
        house.redirect("hr.update_employee", refusing.url)
        if deed == "crash":
            house.crash_after(victim)
            run_id = await house.run_of(world, employee, world.created(employee))
        else:
            house.hold("identity.remove_from_group")
            run_id = await house.run_of(world, employee, world.created(employee))
            await house.reached(run_id, "identity.remove_from_group")
            house.kill(victim)
            house.release("identity.remove_from_group")
            await house.ready()
        run = await house.ended(run_id, within=150)
        if deed == "crash":
            assert house.crashed(victim)
        assert len([step for step in run.steps if step.compensation]) == 7
        await assert_taken_back(house, world, run, employee, email)
