"""Who hears of an event, in which order, and what becomes of those that cannot."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.events.topics import DEAD_LETTER, OBSERVATIONS
from factotum.planner import subscription_rows
from factotum.planner.grpc_subscriptions import LONGEST_FILTERS, SubscriptionCalls
from factotum.runs.errors import RunRefused, TemporalUnavailable
from tests.support.intake import Taking
from tests.support.planner_bench import PlannerBench

HEAD = "document: {dsl: '1.0.3', namespace: test, name: order, version: '1.0.0'}\n"
LISTENER = HEAD + (
    "schedule: {on: {one: {with: {type: ordered}}}}\n"
    "do:\n  - paid: {listen: {to: {one: {with: {type: paid, data: '${ .sum > 1 }'}}}}}\n"
)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(tmp_path: Path) -> AsyncIterator[PlannerBench]:
    async with AsyncExitStack() as stack:
        yield PlannerBench.on(tmp_path / "store.sqlite3", stack, LISTENER)


@pytest_asyncio.fixture(loop_scope="session")
async def planner(bench: PlannerBench) -> Taking:
    return await bench.planner()


async def test_every_planner_on_the_file_hears_of_a_subscription_at_once(bench: PlannerBench, planner: Taking) -> None:
    other = await bench.planner()
    assert other.subscriptions.listening("acme", {"type": "paid"}) == []
    await planner.subscriptions.subscribe("acme", "acme.a.1", [{"type": "paid"}, {"type": "un(paid|known)"}])
    await planner.subscriptions.subscribe("acme", "acme.b.1", [{}])
    for each in (planner, other):
        assert set(each.subscriptions.listening("acme", {"type": "paid"})) == {"acme.a.1", "acme.b.1"}
        assert set(each.subscriptions.listening("acme", {"type": "unknown"})) == {"acme.a.1", "acme.b.1"}
        assert each.subscriptions.listening("acme", {"type": "other"}) == ["acme.b.1"]
        assert each.subscriptions.listening("globex", {"type": "paid"}) == []
    await planner.subscriptions.subscribe("acme", "acme.a.1", [{"type": "other"}])
    await planner.subscriptions.unsubscribe("acme", "acme.b.1")
    for each in (planner, other):
        assert each.subscriptions.listening("acme", {"type": "paid"}) == []
        assert each.subscriptions.listening("acme", {"type": "other"}) == ["acme.a.1"]


async def test_subscriptions_survive_the_process(bench: PlannerBench, planner: Taking) -> None:
    await planner.subscriptions.subscribe("acme", "acme.a.1", [{"type": "paid"}])
    later = await bench.planner()
    assert later.subscriptions.listening("acme", {"type": "paid"}) == ["acme.a.1"]


async def test_an_event_that_nobody_listens_to_costs_no_query(
    bench: PlannerBench, planner: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner.subscriptions.listening("acme", {"type": "paid"})
    read = []
    monkeypatch.setattr(subscription_rows, "after", lambda *_: read.append(1) or [])
    for _ in range(10):
        planner.subscriptions.listening("acme", {"type": "paid"})
    assert read == []
    await (await bench.planner()).subscriptions.subscribe("acme", "acme.a.1", [{}])
    planner.subscriptions.listening("acme", {"type": "paid"})
    assert read == [1]


async def test_ended_subscriptions_are_forgotten_in_the_end(
    bench: PlannerBench, planner: Taking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription_rows, "REMEMBERED", 3)
    await planner.subscriptions.subscribe("acme", "acme.stays.1", [{}])
    for number in range(10):
        await planner.subscriptions.subscribe("acme", f"acme.a.{number}", [{}])
        await planner.subscriptions.unsubscribe("acme", f"acme.a.{number}")
    with sqlite3.connect(tmp_path / "store.sqlite3") as db:
        assert db.execute("SELECT count(*) FROM subscriptions").fetchone()[0] <= 4
    assert (await bench.planner()).subscriptions.listening("acme", {"type": "x"}) == ["acme.stays.1"]


async def test_a_run_hears_the_events_of_a_partition_in_their_order(bench: PlannerBench, planner: Taking) -> None:
    bench.runs.started += ["acme.a.1", "acme.b.1"]
    for run_id in bench.runs.started:
        await planner.subscriptions.subscribe("acme", run_id, [{"type": "paid"}])
    # The first fails twice: those behind it wait.
    bench.runs.failures = [TemporalUnavailable("away"), TemporalUnavailable("away")]
    messages = [bench.message("paid", str(number)) for number in range(20)]
    await asyncio.gather(*map(planner.intake.take, messages))
    for run_id in bench.runs.started:
        assert [event for run, event in bench.runs.heard if run == run_id] == [str(number) for number in range(20)]
    assert bench.kept.events == []  # heard is not unmatched


async def test_what_follows_on_what_started_the_run_is_heard_by_it(bench: PlannerBench, planner: Taking) -> None:
    """Both are dealt with at once; the second must not look for listeners before the first one's run is there."""
    bench.runs.starting.clear()
    both = asyncio.gather(
        planner.intake.take(bench.message("ordered", "1")),
        planner.intake.take(bench.message("paid", "2", data={"sum": 5})),
    )
    await asyncio.sleep(0.1)
    assert bench.runs.heard == []
    bench.runs.starting.set()
    await both
    (run_id,) = bench.runs.started
    assert bench.runs.heard == [(run_id, "2")]


async def test_an_event_waits_for_a_run_that_is_being_started(bench: PlannerBench, planner: Taking) -> None:
    """On another partition, whose planner finds the subscription before the run."""
    bench.runs.starting.clear()
    other = await bench.planner()
    starting = asyncio.ensure_future(planner.intake.take(bench.message("ordered", "1")))
    while not other.subscriptions.listening("acme", {"type": "paid"}):
        await asyncio.sleep(0.01)
    hearing = asyncio.ensure_future(other.intake.take(bench.message("paid", "2", partition=1)))
    await asyncio.sleep(0.1)
    assert not hearing.done()
    bench.runs.starting.set()
    await asyncio.gather(starting, hearing)
    (run_id,) = bench.runs.started
    assert bench.runs.heard == [(run_id, "2")]


async def test_a_run_that_never_came_is_not_waited_for_for_ever(bench: PlannerBench, planner: Taking) -> None:
    await planner.subscriptions.subscribe_before_start("acme", "acme.a.1", [{"type": "paid"}])
    bench.moment += timedelta(seconds=31)
    await planner.intake.take(bench.message("paid", "2"))
    assert planner.subscriptions.listening("acme", {"type": "paid"}) == []


async def test_a_run_that_has_ended_is_not_subscribed_by_a_repetition(bench: PlannerBench, planner: Taking) -> None:
    await planner.subscriptions.unsubscribe("acme", "acme.a.1")
    await planner.subscriptions.subscribe_before_start("acme", "acme.a.1", [{}])
    assert planner.subscriptions.listening("acme", {"type": "paid"}) == []


async def test_a_run_that_is_gone_is_forgotten(bench: PlannerBench, planner: Taking) -> None:
    await planner.subscriptions.subscribe("acme", "acme.gone.1", [{"type": "paid"}])
    await planner.intake.take(bench.message("paid", "1"))
    assert planner.subscriptions.listening("acme", {"type": "paid"}) == []
    await planner.intake.take(bench.message("paid", "2"))
    (note,) = bench.kept.on(OBSERVATIONS)
    assert note.subject == "2"


async def test_what_one_run_cannot_take_is_a_letter_and_others_hear_it(bench: PlannerBench, planner: Taking) -> None:
    bench.runs.started += ["acme.a.1", "acme.b.1"]
    for run_id in bench.runs.started:
        await planner.subscriptions.subscribe("acme", run_id, [{"type": "paid"}])
    bench.runs.failures = [RunRefused("too large")]
    await planner.intake.take(bench.message("paid", "1"))
    ((_, letter),) = bench.kept.events
    assert "too large" in letter.data["reason"]
    assert len(bench.runs.heard) == 1
    await planner.intake.take(bench.message("paid", "2"))
    assert len(bench.runs.heard) == 3


async def test_a_run_does_not_hear_what_started_it(bench: PlannerBench, planner: Taking) -> None:
    text = HEAD + (
        "schedule: {on: {one: {with: {type: ordered}}}}\n"
        "do:\n  - again: {listen: {to: {one: {with: {type: ordered}}}}}\n"
    )
    await planner.library.register("acme", text.replace("'1.0.0'", "'2.0.0'"), bench.moment)
    message = bench.message("ordered", "1")
    for _ in range(3):
        await planner.intake.take(message)
    assert len(bench.runs.started) == 1
    assert bench.runs.heard == []
    await planner.intake.take(bench.message("ordered", "2"))
    assert bench.runs.heard == [(bench.runs.started[0], "2")]


@pytest.mark.parametrize(
    ("hops", "refused"), [(16, False), ("16", False), (17, True), ("9" * 5000, True), ("x", False)]
)
async def test_a_circle_of_procedures_ends(bench: PlannerBench, planner: Taking, hops: Any, refused: bool) -> None:
    await planner.intake.take(bench.message("ordered", "1", factotumhops=hops))
    assert bool(bench.runs.started) is not refused
    reasons = [letter.data["reason"] for letter in bench.kept.on(DEAD_LETTER)]
    assert [("16 runs in a row" in reason) for reason in reasons] == [True] * refused


class Aborted(Exception):
    """The call ended with this status."""


class Context:
    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        raise Aborted(code)


@pytest.mark.parametrize(
    ("run_id", "filters"),
    [
        ("globex.a.1", "[]"),
        ("acme.a.1", "{}"),
        ("acme.a.1", "[1]"),
        ("acme.a.1", "["),
        ("acme.a.1", f'[{{"a": "{"x" * LONGEST_FILTERS}"}}]'),
        ("acme.a.1", f"[{','.join(['{}'] * 1001)}]"),
    ],
)
async def test_what_cannot_be_subscribed_to(planner: Taking, run_id: str, filters: str) -> None:
    context: Any = Context()
    calls = SubscriptionCalls(subscriptions=planner.subscriptions)
    with pytest.raises(Aborted, match="INVALID_ARGUMENT"):
        await calls.Subscribe(pb.SubscribeRequest(tenant="acme", run_id=run_id, filters_json=filters), context)


async def test_over_the_wire_a_run_begins_and_ends_to_hear(planner: Taking) -> None:
    context: Any = Context()
    calls = SubscriptionCalls(subscriptions=planner.subscriptions)
    await calls.Subscribe(
        pb.SubscribeRequest(tenant="acme", run_id="acme.a.1", filters_json='[{"type": "t"}]'), context
    )
    assert planner.subscriptions.listening("acme", {"type": "t"}) == ["acme.a.1"]
    await calls.Unsubscribe(pb.UnsubscribeRequest(tenant="acme", run_id="acme.a.1"), context)
    assert planner.subscriptions.listening("acme", {"type": "t"}) == []
