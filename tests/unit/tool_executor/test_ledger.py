"""What every ledger keeps, grants, lists, resolves, publishes and forgets."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.errors import LedgerUnavailable, NotAmbiguous, UnknownEffect
from factotum.tool_executor.ledger import Granted, Publication, Refused, State, Step, StoredObservation, stored
from tests.support.ledgers import CLAIM, NOW, PUBLICATION, Open, settlement, waiting


def test_what_is_kept_of_an_answer_is_what_the_model_writes() -> None:
    answer = Answer("1.2.3", NOW, NOW + timedelta(seconds=1.25), output_json='{"name":"J\u00f6rg \u2028"}')
    assert answer.output_json is not None
    kept = stored(answer, answer.output_json)
    model = StoredObservation.model_validate_json(kept)
    assert (model.started_at, model.ended_at) == (answer.started_at, answer.ended_at)
    assert (model.tool_version, model.output_json) == (answer.tool_version, answer.output_json)
    assert kept == model.model_dump_json().encode()


async def test_what_was_claimed_is_there_after_reopening(opened: Open) -> None:
    async with opened() as ledger:
        assert await ledger.claim(CLAIM) == Granted(Step.CALL, 1, NOW)
    async with opened() as ledger:
        entry = await ledger.entry("acme", "k")
        later = replace(CLAIM, owner="you", now=NOW + timedelta(seconds=5))
        assert entry is not None and (entry.state, entry.lease_owner) == (State.STARTED, "me")
        assert (entry.origin, entry.arguments_json) == (CLAIM.origin, CLAIM.arguments_json)
        assert await ledger.claim(later) == Granted(Step.ASK, 2, NOW, doubt=True)


async def test_a_key_is_granted_to_one_of_many(opened: Open) -> None:
    async with opened() as ledger, opened() as other:
        for round_ in range(5):
            key = f"k{round_}"
            claims = [replace(CLAIM, key=key, owner=f"{round_}-{number}") for number in range(8)]
            asked = [(ledger if number % 2 else other).claim(claim) for number, claim in enumerate(claims)]
            decisions = await asyncio.gather(*asked)
            assert sum(isinstance(decision, Granted) for decision in decisions) == 1
            assert sum(isinstance(decision, Refused) for decision in decisions) == 7
            # Once its lease is over, to one of many again.
            late = [replace(claim, owner=f"{claim.owner}'", now=NOW + timedelta(seconds=6)) for claim in claims]
            late = [replace(claim, lease_until=claim.now + timedelta(seconds=5)) for claim in late]
            asked = [(ledger if number % 2 else other).claim(claim) for number, claim in enumerate(late)]
            granted = [decision for decision in await asyncio.gather(*asked) if isinstance(decision, Granted)]
            assert granted == [Granted(Step.ASK, 2, NOW, doubt=True)]


async def test_a_claim_that_is_sent_again_is_the_same_one(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.claim(CLAIM)
        assert await ledger.claim(CLAIM) == Granted(Step.CALL, 1, NOW)
        later = replace(CLAIM, owner="you", now=NOW + timedelta(seconds=5), lease_until=NOW + timedelta(seconds=9))
        for _ in range(2):
            assert await ledger.claim(later) == Granted(Step.ASK, 2, NOW, doubt=True)
        assert isinstance(await ledger.claim(CLAIM), Refused)


async def test_what_one_is_refused_for_is_nothing_against_those_that_come_with_it(opened: Open) -> None:
    async with opened() as ledger:
        claims = [replace(CLAIM, key=f"k{number}", owner=f"{number}") for number in range(6)]
        told = [replace(PUBLICATION, value=claim.key.encode()) for claim in claims]
        bad = replace(CLAIM, key="bad", tool=None)  # type: ignore[arg-type]
        *granted, refused = await asyncio.gather(*map(ledger.claim, [*claims, bad]), return_exceptions=True)
        assert isinstance(refused, LedgerUnavailable)
        assert granted == [Granted(Step.CALL, 1, NOW)] * 6
        told[3] = replace(told[3], message_key=None)  # type: ignore[arg-type]
        settled = await asyncio.gather(
            *(
                ledger.settle(settlement(claim, State.DONE, observation=b"{}", publications=(one,)))
                for claim, one in zip(claims, told, strict=True)
            ),
            return_exceptions=True,
        )
        assert [one is True for one in settled] == [True, True, True, False, True, True]
        assert isinstance(settled[3], LedgerUnavailable)
        entries = [await ledger.entry("acme", claim.key) for claim in claims]
        assert [entry.state for entry in entries if entry] == [
            State.STARTED if number == 3 else State.DONE for number in range(6)
        ]
        assert {one.value for one in await waiting(ledger)} == {b"k0", b"k1", b"k2", b"k4", b"k5"}


async def test_whether_an_effect_may_stand_is_said_as_the_entry_says_it(opened: Open) -> None:
    async with opened() as ledger:
        assert not await ledger.effect_possible("acme", "k")
        await ledger.claim(CLAIM)
        assert await ledger.effect_possible("acme", "k")
        assert not await ledger.effect_possible("other", "k")
        for number, (state, doubt) in enumerate((state, doubt) for state in State for doubt in (False, True)):
            claim = replace(CLAIM, key=f"k{number}")
            await ledger.claim(claim)
            observation = b"{}" if state is State.DONE else None
            await ledger.settle(replace(settlement(claim, state, observation=observation), doubt=doubt))
            entry = await ledger.entry("acme", claim.key)
            assert entry is not None and (entry.state, entry.doubt) == (state, doubt)
            assert await ledger.effect_possible("acme", claim.key) == entry.effect_possible


async def test_an_effect_settles_together_with_its_observation(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.claim(CLAIM)
        done = settlement(CLAIM, State.DONE, observation=b"{}", publications=(PUBLICATION,))
        # The outbox refuses the second: then the first, and the state, are not there either.
        broken = replace(done, publications=(PUBLICATION, replace(PUBLICATION, message_key=None)))  # type: ignore[arg-type]
        with pytest.raises(LedgerUnavailable):
            await ledger.settle(broken)
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.state is State.STARTED and await waiting(ledger) == []
        assert not await ledger.settle(replace(done, owner="you")) and await waiting(ledger) == []
        assert await ledger.settle(done)
        assert await waiting(ledger) == [PUBLICATION]
        entry = await ledger.entry("acme", "k")
        assert entry is not None and (entry.state, entry.observation) == (State.DONE, b"{}")
        assert entry.arguments_json is None and entry.lease_owner is None and entry.lease_until is None


async def test_what_is_said_of_an_effect_may_hold_any_character(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.claim(CLAIM)
        assert await ledger.settle(settlement(CLAIM, State.FAILED, reason="it says: \x00 ⟦…⟧"))
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.reason.startswith("it says: ")


async def test_only_the_owner_renews(opened: Open) -> None:
    async with opened() as ledger:
        await ledger.claim(CLAIM)
        until = NOW + timedelta(minutes=1)
        assert not await ledger.renew("acme", "k", "you", now=NOW, lease_until=until)
        assert await ledger.renew("acme", "k", "me", now=NOW, lease_until=until)
        entry = await ledger.entry("acme", "k")
        assert entry is not None and entry.lease_until == until


async def test_lists_are_of_one_tenant_newest_first(opened: Open) -> None:
    async with opened() as ledger:
        for number, tenant in enumerate(["acme", "globex", "acme", "acme"]):
            now = NOW + timedelta(seconds=number)
            origin = Origin(run_id=f"run{number % 2}")
            await ledger.claim(replace(CLAIM, tenant=tenant, key=f"k{number}", now=now, origin=origin))
        await ledger.settle(settlement(replace(CLAIM, key="k2"), State.AMBIGUOUS))

        async def keys(**wanted: object) -> list[str]:
            query = {"states": [], "limit": 10, "run_id": ""} | wanted
            return [entry.key for entry in await ledger.entries("acme", **query)]  # type: ignore[arg-type]

        assert await keys() == ["k3", "k2", "k0"]
        assert await keys(limit=1) == ["k3"]
        assert await keys(states=[State.AMBIGUOUS]) == ["k2"]
        assert await keys(run_id="run1") == ["k3"]


async def test_only_what_is_ambiguous_can_be_resolved(opened: Open) -> None:
    async with opened() as ledger:
        with pytest.raises(UnknownEffect):
            await ledger.resolve("acme", "k", output_json="{}", reason="", now=NOW)
        await ledger.claim(CLAIM)
        with pytest.raises(NotAmbiguous, match="started"):
            await ledger.resolve("acme", "k", output_json="{}", reason="", now=NOW)
        await ledger.settle(settlement(CLAIM, State.AMBIGUOUS))
        with pytest.raises(UnknownEffect):
            await ledger.resolve("globex", "k", output_json="{}", reason="", now=NOW)
        entry = await ledger.resolve(
            "acme", "k", output_json=None, reason="Grace: not in the log", now=NOW, publications=[PUBLICATION]
        )
        assert (entry.state, entry.reason) == (State.FAILED, "Grace: not in the log")
        assert await ledger.entry("acme", "k") == entry and await waiting(ledger) == [PUBLICATION]


async def test_the_outbox_gives_each_to_one_and_takes_out_what_was_published(opened: Open) -> None:
    published = [Publication("acme/run", str(number).encode(), "") for number in range(5)]
    async with opened() as ledger:
        await ledger.publish_later(published[:3])
        await ledger.publish_later(published[3:])
        with pytest.raises(RuntimeError):
            async with ledger.taken(3) as taken:
                assert [one for _, one in taken.waiting] == published[:3]
                taken.published.append(taken.waiting[1][0])
                raise RuntimeError("Kafka went away")
        assert await waiting(ledger) == [published[0], *published[2:]]


async def test_what_is_long_known_is_forgotten(opened: Open) -> None:
    before = NOW + timedelta(hours=1)
    async with opened() as ledger:
        for key, state in (("done", State.DONE), ("failed", State.FAILED), ("new", State.DONE)):
            claim = replace(CLAIM, key=key, now=NOW)
            await ledger.claim(claim)
            when = before if key == "new" else NOW
            done = b"{}" if state is State.DONE else None
            await ledger.settle(settlement(claim, state, observation=done, now=when))
        for key, kept in (("started", None), ("doubtful", State.FAILED), ("asked", State.AMBIGUOUS)):
            claim = replace(CLAIM, key=key)
            await ledger.claim(claim)
            if kept:
                await ledger.settle(settlement(claim, kept, doubt=True))
        assert await ledger.forget(before, limit=1) == 1
        assert await ledger.forget(before, limit=10) == 1
        assert await ledger.forget(before, limit=10) == 0
        entries = await ledger.entries("acme", states=[], limit=9, run_id="")
        assert {entry.key for entry in entries} == {"new", "started", "doubtful", "asked"}
        assert await ledger.claim(replace(CLAIM, key="done")) == Granted(Step.CALL, 1, NOW)


async def test_a_closed_ledger_says_so(opened: Open) -> None:
    async with opened() as ledger:
        pass
    with pytest.raises(LedgerUnavailable, match="not open"):
        await ledger.claim(CLAIM)
