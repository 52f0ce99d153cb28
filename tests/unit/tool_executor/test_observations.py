"""What is told of a call, and that it is told at the same moment as the ledger says it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider

from factotum.events.envelope import Event
from factotum.events.types import OBSERVATION_TYPE, ObservationData
from factotum.sdk.errors import InvalidArgument, ToolError, Unavailable
from factotum.tool_executor.calls import Answer, Call, Origin
from factotum.tool_executor.observations import publication
from factotum.tool_executor.wrappers import observed
from tests.support import tools
from tests.support.ledgers import waiting
from tests.support.tool_calls import NOW
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


@pytest.mark.parametrize(
    ("arguments", "output", "run_id", "error"),
    [
        ('{"name": "ada", "n": [1, 2.0, 1e400, null, true, {}]}', '{"id": "1"}', "run", None),
        ('{"name": "é\u2028", "deep": {"apiKey": 1, "b": "p\\u0061ssword"}}', None, "", Unavailable("away")),
        ("[1]", "[]", "", None),
        ("not json", None, "run", InvalidArgument("no")),
        ('{"n": NaN, "large": 123456789012345678901234567890}', "null", "", None),
    ],
)
def test_the_bytes_are_those_of_the_models(
    arguments: str, output: str | None, run_id: str, error: ToolError | None
) -> None:
    origin = Origin(run_id=run_id, step="/do/0", iteration="1", procedure="a/b")
    call = Call("acme", tools.connector.tools["fake.create"], arguments, "key", origin, NOW)
    ended = NOW.replace(microsecond=123456)
    value = publication(call, Answer("1.0.0", NOW, ended, output, error), attempt=1).value
    event = Event.from_bytes(value)
    data = ObservationData.model_validate(event.data)
    assert event.model_copy(update={"data": data.model_dump(mode="json")}).to_bytes() == value
    assert (event.time, data.started_at, data.ended_at, data.run_id) == (ended, NOW, ended, run_id)
    assert (data.error is None) == (error is None) and b"apiKey" not in value


async def test_the_trace_of_the_call_is_kept(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    monkeypatch.setattr(observed, "tracer", provider.get_tracer("test"))
    with provider.get_tracer("test").start_as_current_span("caller") as span:
        await b.call("create")
        await b.call("read", "")
    trace_id = format(span.get_span_context().trace_id, "032x")
    assert [one.traceparent.split("-")[1] for one in await waiting(b.ledger)] == [trace_id, trace_id]
