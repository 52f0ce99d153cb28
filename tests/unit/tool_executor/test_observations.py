"""What is told of a call, and that it is told at the same moment as the ledger says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from factotum.events.types import OBSERVATION_TYPE
from factotum.tool_executor.wrappers import observed
from tests.support import tools
from tests.support.ledgers import waiting
from tests.support.tool_executor import Bench, bench


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench(tmp_path) as made:
        yield made


async def test_each_attempt_is_one_event(b: Bench) -> None:
    b.world.script("away")
    await b.call("create")
    await b.call("create")
    await b.call("create")  # replayed: nothing new was seen
    (failed, first), (done, second) = await b.events()
    assert failed.type == OBSERVATION_TYPE and failed.subject == "run" and failed.tenant == "acme"
    assert failed.id != done.id
    assert first.error is not None and (first.error.kind, first.error.retryable) == ("unavailable", True)
    assert second.output == {"id": "acme-0", "name": "ada"} and second.error is None
    assert (second.tool, second.effect, second.step, second.procedure) == (
        "fake.create",
        "create",
        "/do/0/x",
        "hr/test",
    )


async def test_an_answer_that_was_asked_for_twice_is_told_under_two_ids(b: Bench) -> None:
    b.world.script("lost", asked=("away",))
    for _ in range(3):
        await b.call("create")
    assert len({event.id for event, _ in await b.events()}) == 3


async def test_reads_and_refusals_are_told(b: Bench) -> None:
    await b.call("read", "")
    await b.call("read", "")
    await b.call("create", name="")
    events = await b.events()
    assert len({event.id for event, _ in events}) == 3
    assert events[2][1].error is not None


async def test_secrets_are_dropped_from_arguments(b: Bench) -> None:
    await b.call("create", name="ada", token=tools.SECRET)
    ((event, data),) = await b.events()
    assert data.arguments == {"name": "ada"}
    assert tools.SECRET.encode() not in event.to_bytes()


async def test_what_is_too_large_for_a_message_is_left_out(b: Bench) -> None:
    await b.call("create", name="a" * 500_000)
    await b.call("create", "other", name="a" * 1_000_000)
    (_, both), (_, neither) = await b.events()
    assert both.output is None and both.arguments and "too large" in both.note
    assert neither.arguments == {}


async def test_the_trace_of_the_call_is_kept(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    monkeypatch.setattr(observed, "tracer", provider.get_tracer("test"))
    with provider.get_tracer("test").start_as_current_span("caller") as span:
        await b.call("create")
        await b.call("read", "")
    trace_id = format(span.get_span_context().trace_id, "032x")
    assert [one.traceparent.split("-")[1] for one in await waiting(b.ledger)] == [trace_id, trace_id]
