"""Procedures that start when all of several events have come: which belong together, once, and nothing lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.bounded.evaluator import TooSlow
from factotum.events.dead_letter import DeadLetterData
from factotum.events.envelope import Event
from factotum.events.topics import DEAD_LETTER, OBSERVATIONS
from factotum.planner.message import Message
from factotum.procedures import expressions
from factotum.procedures.expressions import TooCostly
from factotum.runs.errors import TemporalUnavailable
from tests.support.intake import Taking
from tests.support.planner_bench import PlannerBench

HEAD = "document: {dsl: '1.0.3', namespace: test, name: shipping, version: '1.0.0'}\n"
ROOM = "correlate: {order: {from: .data.order}}"
TOGETHER = HEAD + (
    "schedule:\n  on:\n    all:\n"
    f"    - {{with: {{type: paid}}, {ROOM}}}\n"
    f"    - {{with: {{type: packed}}, {ROOM}}}\n"
    "do:\n  - a: {set: {x: 1}}\n"
)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path) -> AsyncIterator[PlannerBench]:
    async with AsyncExitStack() as stack:
        yield PlannerBench.on(tmp_path / "store.sqlite3", stack, TOGETHER)


@pytest_asyncio.fixture(loop_scope="session")
async def planner(bench: PlannerBench) -> Taking:
    return await bench.planner()


def of(bench: PlannerBench, event_type: str, event_id: str, order: Any, **attributes: Any) -> Message:
    return bench.message(event_type, event_id, data={"order": order}, **attributes)


def inputs(bench: PlannerBench) -> list[list[str]]:
    return [[event["id"] for event in run.input] for run in bench.runs.inputs]


async def test_events_that_belong_together_start_one_run_in_the_order_of_the_filters(
    bench: PlannerBench, planner: Taking
) -> None:
    messages = [
        of(bench, "packed", "1", 7),
        of(bench, "paid", "2", 8),
        of(bench, "paid", "3", 7.0),  # 7 and 7.0 are one number
        of(bench, "packed", "4", "7"),
        of(bench, "packed", "5", 8),
    ]
    for message in messages:
        await planner.intake.take(message)
    assert inputs(bench) == [["3", "1"], ["2", "5"]]
    assert not bench.kept.on(DEAD_LETTER)
    first, second = bench.kept.on(OBSERVATIONS)
    assert first.subject == bench.runs.started[0] != second.subject
    assert first.data["note"] == (
        "Chose test/shipping 1.0.0 for the event 3 of type paid from /t, the event 1 of type packed from /t:"
        ' all events of its trigger have come, with type "paid" or with type "packed".'
    )
    run = bench.runs.inputs[0]
    assert (run.event.id, run.event.type) == ("3", "paid")


async def test_however_often_and_in_whatever_order_they_come_the_run_is_one(tmp_path: Path) -> None:
    ids = set()
    for number, order in enumerate(itertools.permutations(range(3))):
        async with AsyncExitStack() as stack:
            bench = PlannerBench.on(tmp_path / f"{number}.sqlite3", stack, TOGETHER)
            planner = await bench.planner()
            messages = [of(bench, "paid", "1", 7), of(bench, "packed", "2", 7), of(bench, "paid", "1", 7)]
            for index in order * 2:
                await planner.intake.take(messages[index])
            assert inputs(bench) == [["1", "2"]]
            ids.update(bench.runs.started)
    assert len(ids) == 1


async def test_other_tenants_events_complete_nothing(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    await planner.intake.take(of(bench, "packed", "2", 7, tenant="globex"))
    assert bench.runs.started == []


async def test_each_event_is_for_one_run(bench: PlannerBench, planner: Taking) -> None:
    for kind, event_id in [("paid", "1"), ("paid", "2"), ("packed", "3"), ("packed", "4")]:
        await planner.intake.take(of(bench, kind, event_id, 7))
    assert inputs(bench) == [["1", "3"], ["2", "4"]]


async def test_filters_share_only_the_values_that_both_name(tmp_path: Path) -> None:
    text = HEAD + (
        "schedule:\n  on:\n    all:\n"
        "    - {with: {type: a}, correlate: {x: {from: .data.x}}}\n"
        "    - {with: {type: b}}\n"
        "    - {with: {type: c}, correlate: {x: {from: .data.x}, y: {from: .data.y, expect: 'yes'}}}\n"
        "do:\n  - a: {set: {x: 1}}\n"
    )
    async with AsyncExitStack() as stack:
        bench = PlannerBench.on(tmp_path / "store.sqlite3", stack, text)
        planner = await bench.planner()
        await planner.intake.take(bench.message("b", "1"))
        await planner.intake.take(bench.message("c", "2", data={"x": 5, "y": "no"}))  # not the expected one
        await planner.intake.take(bench.message("c", "3", data={"x": 5, "y": "yes"}))
        await planner.intake.take(bench.message("a", "4", data={"x": 6}))  # begins another group
        await planner.intake.take(bench.message("a", "5", data={"x": 5}))
        assert inputs(bench) == [["5", "1", "3"]]


async def test_a_shared_value_parts_events_that_are_tied_by_others_too(tmp_path: Path) -> None:
    text = HEAD + (
        "schedule:\n  on:\n    all:\n"
        "    - {with: {type: a}, correlate: {x: {from: .data.x}}}\n"
        "    - {with: {type: b}, correlate: {x: {from: .data.x}, y: {from: .data.y}}}\n"
        "do:\n  - a: {set: {x: 1}}\n"
    )
    async with AsyncExitStack() as stack:
        bench = PlannerBench.on(tmp_path / "store.sqlite3", stack, text)
        planner = await bench.planner()
        await planner.intake.take(bench.message("b", "1", data={"x": 5, "y": 1}))
        await planner.intake.take(bench.message("a", "2", data={"x": 6}))
        assert bench.runs.started == []
        await planner.intake.take(bench.message("a", "3", data={"x": 5}))
        assert inputs(bench) == [["3", "1"]]


async def test_events_wait_through_a_crash_for_any_planner_on_the_file(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    other = await bench.planner()
    await other.intake.take(of(bench, "packed", "2", 7))
    assert inputs(bench) == [["1", "2"]]


async def test_a_group_that_was_complete_before_a_crash_starts_after_it(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    last = of(bench, "packed", "2", 7)
    bench.runs.starting.clear()
    taking = asyncio.ensure_future(planner.intake.take(last))
    await asyncio.sleep(0.1)
    taking.cancel()
    await asyncio.wait({taking})
    bench.runs.starting.set()
    assert bench.runs.started == []
    await (await bench.planner()).intake.take(last)
    assert inputs(bench) == [["1", "2"]]


async def test_while_temporal_is_away_the_last_event_waits(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    bench.runs.failures = [TemporalUnavailable("away")]
    await planner.intake.take(of(bench, "packed", "2", 7))
    assert inputs(bench) == [["1", "2"]]


async def test_what_is_never_completed_is_told_of_and_can_be_replayed(bench: PlannerBench, planner: Taking) -> None:
    alone = of(bench, "paid", "1", 7)
    await planner.intake.take(alone)
    bench.moment += timedelta(days=6)
    await planner.partial_matches.expire()
    assert bench.kept.events == []
    bench.moment += timedelta(days=1, seconds=1)
    for _ in range(2):
        await planner.partial_matches.expire()
    ((topic, letter),) = bench.kept.events
    assert (topic, letter.tenant) == (DEAD_LETTER, "acme")
    data = DeadLetterData.model_validate(letter.data)
    assert "test/shipping was never completed: 1 of its 2 events came" in data.reason
    assert (data.value, data.offset) == (alone.value, alone.offset)
    await planner.intake.take(of(bench, "packed", "2", 7))
    assert bench.runs.started == []
    await planner.intake.take(alone)  # replayed
    assert inputs(bench) == [["1", "2"]]


async def test_what_led_to_a_run_does_not_expire(bench: PlannerBench, planner: Taking) -> None:
    messages = [of(bench, "paid", "1", 7), of(bench, "packed", "2", 7)]
    for message in messages:
        await planner.intake.take(message)
    bench.moment += timedelta(days=8)
    await planner.partial_matches.expire()
    assert not bench.kept.on(DEAD_LETTER)


async def test_what_cannot_be_started_is_a_letter_for_each_of_its_events(bench: PlannerBench, planner: Taking) -> None:
    messages = [of(bench, "paid", "1", 7), of(bench, "packed", "2", 7)]
    bench.allows.fault = "no tool `x.y`"
    for message in messages:
        await planner.intake.take(message)
    letters = {letter.id: DeadLetterData.model_validate(letter.data) for letter in bench.kept.on(DEAD_LETTER)}
    assert {data.value for data in letters.values()} == {message.value for message in messages}
    assert len(letters) == 2
    assert all("test/shipping 1.0.0: " in data.reason and "no tool `x.y`" in data.reason for data in letters.values())
    bench.allows.fault = ""
    for message in messages:  # replayed
        await planner.intake.take(message)
    assert inputs(bench) == [["1", "2"]]


async def test_an_event_that_waits_is_not_unmatched(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    await planner.intake.take(bench.message("paid", "2"))  # lacks what it would be correlated by
    (note,) = bench.kept.on(OBSERVATIONS)
    assert note.subject == "2"


async def test_a_changed_procedure_waits_anew(bench: PlannerBench, planner: Taking) -> None:
    await planner.intake.take(of(bench, "paid", "1", 7))
    text = TOGETHER.replace("'1.0.0'", "'1.1.0'").replace("type: packed", "type: wrapped")
    await planner.library.register("acme", text, bench.moment)
    await planner.intake.take(of(bench, "wrapped", "2", 7))
    assert bench.runs.started == []


async def test_what_is_too_slow_to_be_judged_is_a_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never_cheap(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        raise TooCostly(program, value, arguments)

    async def too_slow(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        raise TooSlow(f"{program}: did not end within 2 s")

    text = HEAD + "schedule: {on: {one: {with: {data: '${ .x }'}}}}\ndo:\n  - a: {set: {x: 1}}\n"
    monkeypatch.setattr(expressions, "run_cheap", never_cheap)
    async with AsyncExitStack() as stack:
        bench = PlannerBench.on(tmp_path / "store.sqlite3", stack, text, costly=too_slow)
        planner = await bench.planner()
        message = Message(
            "factotum.events", 0, 1, Event(id="1", source="/t", type="a", tenant="acme", data={}).to_bytes()
        )
        await planner.intake.take(message)
        ((topic, letter),) = bench.kept.events
    assert topic == DEAD_LETTER
    assert "test/shipping 1.0.0: whether it takes the event is not known: .x: did not end" in letter.data["reason"]
