"""Calls beyond a limit, and of a system that does not answer, are refused before the ledger is touched."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel

from factotum.runtime import clock
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict, Unavailable
from factotum.sdk.spec import Effect, Idempotency, RateLimit
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.errors import retry_after
from factotum.tool_executor.limits import BreakerRules, Limits
from factotum.tool_executor.wrappers import observed
from tests.support import ledgers
from tests.support.composition import catalog_of, executor_of

RULES = BreakerRules(failures=3, window=timedelta(seconds=30), cool_down=timedelta(seconds=5))


class Nothing(BaseModel):
    pass


@dataclass
class System:
    """What the tools meet with, and how many of them at once."""

    fault: Exception | None = None
    calls: int = 0
    under_way: int = 0
    most: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def called(self) -> Nothing:
        self.calls += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
            if self.fault is not None:
                raise self.fault
            return Nothing()
        finally:
            self.under_way -= 1


def connector(system: System, name: str = "crm") -> Connector[Nothing]:
    made = Connector(name, settings=Nothing)

    @made.tool(effect=Effect.NONE, rate_limit=RateLimit(calls=2, seconds=10))
    async def rated(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @made.tool(effect=Effect.NONE, concurrency=2)
    async def narrow_read(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @made.tool(effect=Effect.CREATE, concurrency=1)
    async def narrow(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @made.tool(effect=Effect.CREATE, idempotency=Idempotency.NATIVE, rate_limit=RateLimit(calls=1, seconds=60))
    async def rated_create(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @made.tool(effect=Effect.CREATE, idempotency=Idempotency.NATIVE)
    async def create(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @made.tool(effect=Effect.EXECUTE)
    async def any_request(arguments: Nothing, context: ToolContext[Nothing]) -> Nothing:
        return await system.called()

    @any_request.narrow
    async def _(arguments: Nothing, context: ToolContext[Nothing]) -> tuple[Effect, Idempotency]:
        return Effect.NONE, Idempotency.NATIVE

    return made


class Bench:
    def __init__(self, folder: Path, ledger: Any) -> None:
        self.system, self.other = System(), System()
        self.system.gate.set()
        self.other.gate.set()
        self.ledger = ledger
        self.ahead = timedelta(0)
        names = [(tenant, name) for tenant in ("acme", "globex") for name in ("crm", "erp")]
        catalog = catalog_of(
            connector(self.system), connector(self.other, "erp"), settings=dict.fromkeys(names, Nothing())
        )
        self.executor = executor_of(
            catalog,
            ledger,
            secrets=folder,
            limits=Limits(line_seconds=0.05, breaker=RULES),
            now=lambda: clock.now() + self.ahead,
        )

    async def begun(self) -> None:
        """Returns once a tool has been called and waits at the gate."""
        async with asyncio.timeout(5):
            while not self.system.under_way:
                await asyncio.sleep(0.005)

    async def call(self, tool: str, key: str = "", *, tenant: str = "acme", settle: bool = False) -> Answer:
        return await self.executor.execute(
            tenant=tenant, tool=tool, arguments_json="{}", key=key or uuid4().hex, origin=Origin(), settle=settle
        )

    async def fail(self, times: int, tool: str = "crm.create") -> None:
        self.system.fault = Unavailable("connection refused", effect_possible=False)
        for _ in range(times):
            await self.call(tool)
        self.system.fault = None


@pytest.fixture
async def b(tmp_path: Path) -> AsyncIterator[Bench]:
    async with ledgers.sqlite(tmp_path)() as ledger:
        made = Bench(tmp_path, ledger)
        yield made
        made.system.gate.set()
        await made.executor.drained()


def refusal(answer: Answer) -> tuple[str, bool, float] | None:
    """Its kind, whether the effect is possible, and when to come back."""
    if answer.error is None:
        return None
    return answer.error.kind, answer.effect_possible, retry_after(answer.error)


async def untouched(b: Bench, key: str) -> bool:
    return await b.ledger.entry("acme", key) is None


async def test_a_rate_is_of_one_tenant(b: Bench) -> None:
    answers = [await b.call("crm.rated") for _ in range(3)]
    assert [refusal(answer) for answer in answers] == [None, None, ("rate_limited", False, pytest.approx(5, abs=0.2))]
    assert b.system.calls == 2
    assert refusal(await b.call("crm.rated", tenant="globex")) is None
    b.ahead = timedelta(seconds=5.1)
    assert refusal(await b.call("crm.rated")) is None and refusal(await b.call("crm.rated")) is not None


async def test_what_the_ledger_answers_needs_no_token_no_turn_and_no_system(b: Bench) -> None:
    for tool in ("crm.rated_create", "crm.narrow"):
        assert refusal(await b.call(tool, f"done by {tool}")) is None
    assert refusal(await b.call("crm.rated_create")) == ("rate_limited", False, pytest.approx(60, abs=0.2))
    assert (await b.call("crm.rated_create", "done by crm.rated_create")).replayed
    # A key of another tool is refused for good, whoever comes back later.
    assert refusal(await b.call("crm.rated_create", "done by crm.narrow")) == ("invalid_argument", True, 0.0)

    b.system.gate.clear()
    busy = asyncio.ensure_future(b.call("crm.narrow"))
    await asyncio.sleep(0.03)
    assert (await b.call("crm.narrow", "done by crm.narrow")).replayed
    b.system.gate.set()
    assert refusal(await busy) is None

    await b.fail(3)
    called = b.system.calls
    assert (await b.call("crm.narrow", "done by crm.narrow")).replayed and b.system.calls == called
    assert refusal(await b.call("crm.narrow")) == ("unavailable", False, pytest.approx(5, abs=0.2))


@pytest.mark.parametrize("tool", ["crm.create", "crm.narrow_read"])
@pytest.mark.parametrize(
    "fault",
    [
        ConnectionRefusedError("to 10.0.0.1"),
        ConnectionResetError(),
        socket.gaierror(socket.EAI_AGAIN, "crm.example"),
        OSError(errno.EHOSTUNREACH, "no route"),
    ],
)
async def test_a_connection_that_a_tool_lets_fail_is_no_answer(b: Bench, tool: str, fault: Exception) -> None:
    b.system.fault = fault
    for number in range(3):
        answer = await b.call(tool, str(number))
        assert refusal(answer) == ("unavailable", tool == "crm.create", 0.0)
        assert answer.error is not None and "10.0.0.1" not in answer.error.message
    assert refusal(await b.call(tool)) == ("unavailable", False, pytest.approx(5, abs=0.2))
    assert b.system.calls == 3


async def test_a_file_that_a_tool_misses_is_its_fault(b: Bench) -> None:
    b.system.fault = FileNotFoundError("settings.json")
    answers = [refusal(await b.call("crm.narrow_read")) for _ in range(4)]
    assert answers == [("failed", False, 0.0)] * 4


@pytest.mark.parametrize(("tool", "most"), [("crm.narrow_read", 2), ("crm.narrow", 1)])
async def test_so_many_at_once_and_the_others_in_line(b: Bench, tool: str, most: int) -> None:
    b.system.gate.clear()
    calls = [asyncio.ensure_future(b.call(tool, f"k{number}")) for number in range(most + 1)]
    answer = await calls[-1]
    assert refusal(answer) == ("rate_limited", False, 0.05) and await untouched(b, f"k{most}")
    waiting = asyncio.ensure_future(b.call(tool))
    await asyncio.sleep(0.01)
    b.system.gate.set()
    assert [refusal(one) for one in await asyncio.gather(*calls[:-1], waiting)] == [None] * (most + 1)
    assert b.system.most == most
    assert refusal(await b.call(tool)) is None


async def test_an_effect_keeps_its_turn_when_its_caller_is_gone(b: Bench) -> None:
    b.system.gate.clear()
    call = asyncio.ensure_future(b.call("crm.narrow"))
    await b.begun()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert b.system.under_way == 1
    assert refusal(await b.call("crm.narrow")) is not None and b.system.most == 1
    b.system.gate.set()
    assert refusal(await b.call("crm.narrow")) is None


async def test_a_system_that_does_not_answer_is_left_alone(b: Bench) -> None:
    await b.fail(3)
    called = b.system.calls
    answer = await b.call("crm.create", "k")
    assert refusal(answer) == ("unavailable", False, pytest.approx(5, abs=0.2))
    assert b.system.calls == called and await untouched(b, "k")
    # Its other tools too, but no other system and no other tenant's.
    assert refusal(await b.call("crm.rated")) is not None
    assert refusal(await b.call("erp.create")) is None
    assert refusal(await b.call("crm.create", tenant="globex")) is None
    b.ahead = timedelta(seconds=6)
    assert refusal(await b.call("crm.create", "k")) is None
    assert refusal(await b.call("crm.create")) is None


async def test_one_call_tries_and_the_others_wait_for_it(b: Bench) -> None:
    await b.fail(3)
    b.ahead = timedelta(seconds=6)
    b.system.gate.clear()
    first = asyncio.ensure_future(b.call("crm.create"))
    await b.begun()
    assert refusal(await b.call("crm.create")) is not None
    b.system.fault = Unavailable("connection refused", effect_possible=False)
    b.system.gate.set()
    assert refusal(await first) == ("unavailable", False, 0.0)
    assert refusal(await b.call("crm.create")) == ("unavailable", False, pytest.approx(5, abs=0.2))


async def test_a_replay_finds_nothing_out_and_leaves_the_try_to_the_next(b: Bench) -> None:
    await b.call("crm.create", "k")
    await b.fail(3)
    b.ahead = timedelta(seconds=6)
    assert (await b.call("crm.create", "k")).replayed
    assert refusal(await b.call("crm.create")) is None


async def test_a_refusal_is_an_answer(b: Bench) -> None:
    await b.fail(2)
    b.system.fault = Conflict("taken")
    await b.call("crm.create")
    await b.fail(2)
    assert refusal(await b.call("crm.create")) is None


async def test_what_became_of_an_effect_is_asked_all_the_same(b: Bench) -> None:
    b.system.fault = Unavailable("no answer")
    await b.call("crm.create", "k")
    await b.fail(2)
    answer = await b.call("crm.create", "k")
    # Nothing was done now, but the earlier attempt may have been.
    assert refusal(answer) == ("unavailable", True, pytest.approx(5, abs=0.2))
    assert (await b.call("crm.create", "k", settle=True)).output_json == "{}"
    # That it answered is told to the breaker.
    assert refusal(await b.call("crm.create")) is None


async def test_a_tool_that_carries_any_request_is_never_left_alone(b: Bench) -> None:
    await b.fail(5, "crm.any_request")
    assert refusal(await b.call("crm.any_request")) is None and refusal(await b.call("crm.create")) is None


async def test_it_is_seen_in_the_trace(b: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(observed, "tracer", provider.get_tracer("test"))
    await b.fail(3)
    await b.call("crm.create")
    b.ahead = timedelta(seconds=6)
    await b.call("crm.create")
    spans = exporter.get_finished_spans()
    seen = [[event.name for event in span.events if event.name.startswith("breaker")] for span in spans]
    assert seen == [[], [], ["breaker opened"], [], ["breaker closed"]]
    assert dict(spans[3].attributes or {})["factotum.breaker"] == "open"
