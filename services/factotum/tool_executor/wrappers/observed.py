"""Every call is a span and an observation; from here on an error is an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from factotum.runtime import spans
from factotum.runtime.telemetry import RUN_ID, TENANT
from factotum.sdk.errors import ToolError
from factotum.tool_executor.calls import Answer, Call
from factotum.tool_executor.ledger import Ledger, Publication

tracer = trace.get_tracer(__name__)


class Observed:
    """Turns a `ToolError` into an answer and tells the observation of what the ledger has not recorded:
    reads, and calls that were refused before they reached it. What an earlier attempt did under the same
    key is not undone by such a refusal: of that the ledger is asked.

    Args:
        observe: makes the observation of a call that is not counted in attempts.
        tell: takes it.
    """

    def __init__(
        self,
        inner: Callable[[Call], Awaitable[Answer]],
        *,
        ledger: Ledger,
        observe: Callable[[Call, Answer], Publication],
        tell: Callable[[Publication], Awaitable[None]],
        now: Callable[[], datetime],
    ) -> None:
        self._inner = inner
        self._ledger = ledger
        self._observe = observe
        self._tell = tell
        self._now = now

    async def __call__(self, call: Call) -> Answer:
        name = call.tool.spec.name
        # OpenTelemetry's conventions for generative AI: "execute tool span".
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            TENANT: call.tenant,
            RUN_ID: call.origin.run_id,
        }
        with spans.current(tracer, f"execute_tool {name}", attributes=attributes) as span:
            try:
                answer = await self._inner(call)
            except ToolError as error:
                possible = bool(call.key) and await self._ledger.effect_possible(call.tenant, call.key)
                answer = Answer(
                    call.tool.spec.version, call.started_at, self._now(), error=error, effect_possible=possible
                )
            span.set_attribute("factotum.replayed", answer.replayed)
            if answer.error is not None:
                span.set_attribute("error.type", answer.error.kind)
                span.set_status(Status(StatusCode.ERROR, answer.error.message))
            if not answer.recorded:
                await self._tell(self._observe(call, answer))
            return answer
