"""A key that was begun under one contract of its tool, and is taken up under another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.ledger import Granted, Refused, State, Step
from tests.support.composition import catalog_of
from tests.support.ledgers import CLAIM, Open, settlement
from tests.support.tool_executor import LEASE_SECONDS, Bench, bench
from tests.support.tools import FakeSettings, Made, Thing, find_created

NATIVE, RECONCILE, NONE, READ = Idempotency.NATIVE, Idempotency.RECONCILE, Idempotency.NONE, None
CHANGES = [
    (NONE, READ, "ambiguous"),
    (NONE, NATIVE, "ambiguous"),
    (NONE, RECONCILE, "ambiguous"),
    (RECONCILE, READ, "ambiguous"),
    (RECONCILE, NATIVE, "ambiguous"),
    (RECONCILE, NONE, "ambiguous"),
    (NATIVE, READ, "ambiguous"),
    (NATIVE, NONE, "ambiguous"),
    (NATIVE, RECONCILE, "found"),
]


@pytest.fixture
async def b(tmp_path: Path, opened: Open) -> AsyncIterator[Bench]:
    async with bench(tmp_path, opened) as made:
        yield made


def declared(b: Bench, idempotency: Idempotency | None, *, tenant: str = "acme") -> Catalog:
    """`fake.make`, whose effect is kept from happening twice like this; with None it says that it reads."""
    connector = Connector("fake", settings=FakeSettings)

    @connector.tool(effect=Effect.NONE if idempotency is None else Effect.CREATE, idempotency=idempotency or NATIVE)
    async def make(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
        """Make a thing, whatever is declared."""
        word = b.world.next("calls")
        if word == "refuse":
            raise Conflict("taken")
        b.world.act(tenant=context.tenant, key=context.idempotency_key, id="1", name=arguments.name)
        if word == "die":
            raise asyncio.CancelledError
        if word == "lost":
            raise Unavailable("no answer")
        return Made(id="1", name=arguments.name)

    if idempotency is RECONCILE:
        make.reconcile(find_created)
    return catalog_of(connector, settings={(tenant, "fake"): FakeSettings(world=b.folder)})


async def killed(b: Bench, idempotency: Idempotency | None) -> None:
    b.restarted(declared(b, idempotency))
    b.world.script("die")
    with pytest.raises(asyncio.CancelledError):
        await b.call("make")
    b.ahead += timedelta(seconds=LEASE_SECONDS)


def outcome(answer: Answer) -> Any:
    return "found" if answer.error is None else answer.error.kind


@pytest.mark.parametrize("settles_first", [True, False])
@pytest.mark.parametrize(("begun", "present", "expected"), CHANGES)
async def test_another_contract_makes_no_second_effect(
    b: Bench, begun: Idempotency, present: Idempotency | None, expected: str, settles_first: bool
) -> None:
    await killed(b, begun)
    b.restarted(declared(b, present))
    for settle in (settles_first, not settles_first):
        answer = await b.call("make", settle=settle)
        assert outcome(answer) == expected and (answer.error is None or answer.effect_possible)
    assert len(b.world.effects) == 1


async def test_the_same_contract_is_kept(b: Bench) -> None:
    await killed(b, NATIVE)
    b.restarted(declared(b, NATIVE))
    assert outcome(await b.call("make")) == "found"
    assert len(b.world.effects) == 2, "it may be repeated, and was not"


async def test_what_certainly_failed_is_begun_anew_under_any(b: Bench) -> None:
    for begun in (NONE, NATIVE, READ):
        b.restarted(declared(b, begun))
        b.world.script("refuse")
        assert outcome(await b.call("make")) == "conflict"
    b.restarted(declared(b, NATIVE))
    b.world.script("lost")
    assert outcome(await b.call("make")) == "unavailable"
    assert (await b.entry()).idempotency is NATIVE, "nothing is left of what had no effect"
    assert outcome(await b.call("make")) == "found"


async def test_what_was_done_is_replayed_to_a_read(b: Bench) -> None:
    b.restarted(declared(b, RECONCILE))
    done = await b.call("make")
    b.restarted(declared(b, READ))
    for settle in (False, True):
        again = await b.call("make", settle=settle)
        assert again.replayed and again.output_json == done.output_json
    assert outcome(await b.call("make", name="bob")) == "invalid_argument"
    assert len(b.world.effects) == 1


async def test_a_read_whose_key_had_no_effect_reads(b: Bench) -> None:
    b.restarted(declared(b, READ))
    for key in ("", "new"):
        answer = await b.call("make", key, settle=True)
        assert answer.error is not None and (answer.error.kind, answer.effect_possible) == ("not_done", False)
        assert not b.world.effects
    assert (await b.call("make", "new")).output_json and len(b.world.effects) == 1
    assert await b.ledger.entry("acme", "new") is None


async def test_a_read_that_is_refused_says_that_there_may_be_an_effect(b: Bench) -> None:
    await killed(b, NONE)
    b.restarted(declared(b, READ, tenant="globex"))
    answer = await b.call("make")
    assert outcome(answer) == "not_permitted" and answer.effect_possible


async def test_the_strictest_of_all_attempts_counts(opened: Open) -> None:
    async with opened() as ledger:
        claim = replace(CLAIM, idempotency=NATIVE)
        for number, (present, step) in enumerate([(NATIVE, Step.CALL), (RECONCILE, Step.ASK), (NATIVE, Step.GIVE_UP)]):
            claim = replace(claim, owner=str(number), idempotency=present)
            for _ in range(2):  # sent again, it is the same
                decision = await ledger.claim(claim)
                assert isinstance(decision, Granted) and decision.step is step
            await ledger.settle(settlement(claim, State.STARTED, doubt=True))
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.idempotency is RECONCILE
        # A person says that it was not done: then any contract will do.
        claim = replace(claim, owner="last")
        await ledger.claim(claim)
        await ledger.settle(settlement(claim, State.AMBIGUOUS, doubt=True))
        assert isinstance(await ledger.claim(replace(claim, owner="you")), Refused)
        await ledger.resolve("acme", "k", output_json=None, reason="", now=claim.now)
        granted = await ledger.claim(replace(claim, owner="you"))
        assert isinstance(granted, Granted) and granted.step is Step.CALL
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.idempotency is NATIVE
