"""Progress is told once in a while, and of a call that goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from factotum.sdk.context import ToolContext
from factotum.tool_executor.calls import Call, Origin, Prepared, Progress
from factotum.tool_executor.wrappers import reported
from factotum.tool_executor.wrappers.reported import Reported
from tests.support.tool_calls import NOW, tool_context
from tests.support.tools import Thing, connector

tracer = TracerProvider().get_tracer("test")


async def told(use: Callable[[ToolContext[Any]], None]) -> list[dict[str, Any]]:
    """The attributes of the events of the call's span."""
    call = Call("acme", connector.tools["fake.read"], "{}", "key", Origin(run_id="run"), NOW)

    async def act(prepared: Prepared) -> str:
        use(prepared.context)
        return "done"

    with tracer.start_as_current_span("execute_tool fake.read") as span:
        progress = Progress()
        context = replace(tool_context(None), report=progress)
        assert await Reported(act)(Prepared(call, Thing(name="x"), context, progress=progress)) == "done"
    return [dict(event.attributes or {}) for event in getattr(span, "events", ())]


async def test_a_report_is_an_event_of_the_span() -> None:
    text = {"factotum.progress.text": "half of it"}
    assert await told(lambda context: context.report("half of it", 0.5)) == [
        {**text, "factotum.progress.fraction": 0.5}
    ]
    for odd in (None, -1.0, 7.0, float("nan")):
        assert await told(lambda context, odd=odd: context.report("half of it", odd)) == [text]


async def test_a_tool_that_tells_much_is_heard_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    def tell(context: ToolContext[Any]) -> None:
        for number in range(1000):
            context.report(str(number), None)

    assert len(await told(tell)) == 1
    monkeypatch.setattr(reported, "SECONDS_BETWEEN", 0.0)
    assert len(await told(tell)) == reported.MOST
    (long,) = await told(lambda context: context.report("x" * 1_000_000, None))
    assert len(long["factotum.progress.text"]) < 10_000


async def test_after_the_call_nothing_is_told() -> None:
    kept: list[Any] = []
    await told(lambda context: kept.append(context.report))
    with tracer.start_as_current_span("another") as span:
        kept[0]("late", None)
    assert not getattr(span, "events", ())
