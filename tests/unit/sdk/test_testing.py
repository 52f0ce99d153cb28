"""The conformance suite: a sound tool passes, and each fault is found by the check that is there for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Conflict, NotPermitted, Unavailable
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.testing import Report, World, check_tool
from factotum.sdk.tool import Connector, Tool

TOKEN = "badge-t0ken-1"


class Office(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    away: bool = False
    fault: str = ""
    badges: list[dict[str, str]] = Field(default=[])
    unsure: int = 0


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person: str = Field(min_length=1)


class Badge(BaseModel):
    number: int
    person: str


class Revoked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


class Forgiving(BaseModel):
    person: str = ""


def keep_the_loop() -> None:
    time.sleep(0.3)


async def request(context: ToolContext[Office]) -> None:
    await asyncio.sleep(0)
    if context.settings.away:
        if context.settings.fault == "raw":
            raise ConnectionError("nobody there")
        raise Unavailable("the office is closed", effect_possible=False)
    if context.secret("secret://token") != TOKEN:
        said = context.secret("secret://token") if context.settings.fault == "tells what was refused" else "it"
        raise NotPermitted(f"the office does not know {said}")


def tool(
    fault: str = "", idempotency: Idempotency = Idempotency.RECONCILE, effect: Effect = Effect.CREATE
) -> Tool[Any, Any, Office]:
    """Issues badges; `fault` is what its author got wrong."""
    connector = Connector("badges", settings=Office)
    taken = {
        "no expression": "${ .number",
        "no such field": "${ .badge }",
        "no such argument": "${ .person }",
        "computed": "${ [.number, 1] | add - 1 }",
        "another badge": "${ .number + 1000 }",
    }

    @connector.tool(
        effect=effect,
        idempotency=idempotency,
        timeout_seconds=0.2 if fault in ("slow", "blocks") else 30,
        compensation=Compensation(
            call="badges.take" if fault == "another" else "badges.revoke",
            arguments={"number": taken.get(fault, "${ .number }")},
        )
        if effect is not Effect.NONE
        else None,
        errors=[NotPermitted] if fault == "undeclared" else [NotPermitted, Unavailable],
        examples=[Example(title="A badge", arguments={"person": "ada"} if fault != "example" else {"name": "ada"})],
    )
    async def issue(arguments: Wanted, context: ToolContext[Office]) -> Badge:
        """Issue a badge."""
        try:
            return await act(arguments, context)
        except asyncio.CancelledError:
            if fault == "deaf":
                await asyncio.sleep(20)
            if fault == "confused":
                raise RuntimeError("what?") from None
            if fault == "sure":
                raise Unavailable("nothing was done", effect_possible=False) from None
            raise

    async def act(arguments: Any, context: ToolContext[Office]) -> Badge:
        office = context.settings
        await request(context)
        if fault == "slow":
            await asyncio.sleep(5)
        if fault == "blocks":
            keep_the_loop()
        if fault == "reports":
            context.report(f"signed in with {context.secret('secret://token')}", 0.5)
        if fault == "prints":
            print(f"signed in with {context.secret('secret://token')}")
        if fault == "encodes":
            raise NotPermitted(f"no: {context.secret('secret://token').encode().hex()}")
        if fault == "logs":
            logging.getLogger("badges").debug("calling with %s", context.secret("secret://token"))
        key = "" if fault == "keyless" else context.idempotency_key

        def known() -> list[int]:
            return [
                number
                for number, badge in enumerate(office.badges)
                if badge["key"] == key or (fault == "one for ever" and badge["person"] == arguments.person)
            ]

        if not known() and fault == "one at a time" and arguments.person in {one["person"] for one in office.badges}:
            raise Conflict("there is one")
        if not known() or idempotency is not Idempotency.NATIVE:
            office.badges.append({"person": arguments.person, "key": key})
        await asyncio.sleep(0)
        answer = Badge(number=known()[0], person=arguments.person)
        if fault == "shape":
            answer.number = "one"  # type: ignore[assignment]
        if fault == "tells":
            answer.person = f"{arguments.person} by {TOKEN}"
        return answer

    if idempotency is Idempotency.RECONCILE:

        @issue.reconcile
        async def _(arguments: Wanted, context: ToolContext[Office]) -> Badge | None:
            if fault == "never knows" and not context.settings.away:
                raise Ambiguous("the office keeps no books")
            if context.settings.away and fault == "asks aloud":
                raise Unavailable(f"closed to {context.secret('secret://token')}")
            if not (context.settings.away and fault == "guesses"):
                await request(context)
            if context.settings.unsure:
                context.settings.unsure -= 1
                raise Unavailable("the office has not filed it yet")
            found = [
                number
                for number, badge in enumerate(context.settings.badges)
                if badge["key"] == context.idempotency_key
                or fault == "any badge will do"
                or (fault == "any of theirs will do" and badge["person"] == arguments.person)
            ]
            if not found or fault == "forgets":
                return None
            return Badge(number=-1 if fault == "misremembers" else found[0], person=arguments.person)

    if fault == "forgiving":
        issue.arguments = Forgiving
    return issue


def revoking(fault: str = "") -> Tool[Any, Any, Office]:
    connector = Connector("badges", settings=Office)

    @connector.tool(effect=Effect.DELETE)
    async def revoke(arguments: Revoked, context: ToolContext[Office]) -> Revoked:
        """Take a badge back."""
        if fault == "stuck":
            raise NotPermitted("badges are for ever")
        if fault != "for show":
            context.settings.badges[arguments.number]["person"] = ""
        return arguments

    return revoke


def counting(office: Office) -> Any:
    badges = office.badges

    async def standing(arguments: Mapping[str, Any]) -> int:
        return sum(badge["person"] == arguments["person"] for badge in badges)

    return standing


async def report(made: Tool[Any, Any, Office], fault: str = "", **more: Any) -> Report:
    office = Office()
    world = World(
        settings=office,
        arguments=lambda number: {"person": f"person {number}"},
        standing=counting(office),
        secrets={"token": TOKEN},
        away=Office(away=True, fault=fault),
        **{"undo": revoking(fault), **more},
    )
    office.fault, office.unsure = fault, 3 if fault == "unsure" else 0
    return await check_tool(made, world)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.sdk.conformance.trial.SETTLING_SECONDS", 0.05)
    monkeypatch.setattr("factotum.sdk.conformance.once.CANCEL_SECONDS", 1)


@pytest.mark.parametrize("idempotency", [Idempotency.RECONCILE, Idempotency.NATIVE, Idempotency.NONE])
async def test_a_sound_tool(idempotency: Idempotency) -> None:
    found = await report(tool(idempotency=idempotency))
    found.assert_passed()
    applied = {check.name for check in found.checks if check.passed}
    assert ("a lost answer" in applied) is (idempotency is Idempotency.RECONCILE)
    assert ("a repeated call" in applied) is (idempotency is Idempotency.NATIVE)
    assert {"spec", "examples", "a call", "two calls alike", "a cut at every wait", "redaction"} <= applied
    assert "compensation" in applied
    cuts = next(check for check in found.checks if check.name == "a cut at every wait")
    assert cuts.message == "4 cuts at 2 waits"


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("example", "examples", "the arguments of 'A badge'"),
        ("forgiving", "invalid arguments", "was accepted"),
        ("shape", "a call", "number"),
        ("keyless", "a lost answer", "found nothing of a call"),
        ("forgets", "a cut at every wait", "stands 2 times"),
        ("any badge will do", "a call never made", "never made"),
        ("misremembers", "a lost answer", "reconcile found"),
        ("deaf", "a cut at every wait", "did not end within"),
        ("confused", "a cut at every wait", "RuntimeError"),
        ("sure", "a cut at every wait", "says that it had no effect"),
        ("raw", "a system that is away", "ConnectionError"),
        ("guesses", "a system that is away", "cannot have asked"),
        ("undeclared", "declared errors", "unavailable"),
        ("any of theirs will do", "a lost answer", "another key"),
        ("unsure", "a call never made", "not filed it yet"),
        ("slow", "a call", "within its timeout of 0.2 s"),
        ("blocks", "a call", "and its timeout is 0.2 s"),
        ("no expression", "compensation", "is no expression: `${` is not closed"),
        ("no such field", "compensation", "not in the output"),
        ("no such argument", "compensation", "does not take"),
        ("another", "compensation", "World.undo is badges.revoke"),
        ("another badge", "compensation", "IndexError"),
        ("stuck", "compensation", "badges are for ever"),
        ("for show", "compensation", "stands 1 times instead of 0"),
        ("tells", "redaction", "'token'"),
        ("tells what was refused", "redaction", "'token'"),
        ("asks aloud", "redaction", "'token'"),
        ("logs", "redaction", "'token'"),
        ("reports", "redaction", "'token'"),
        ("prints", "redaction", "'token'"),
        ("encodes", "redaction", "'token'"),
    ],
)
async def test_each_fault_is_found(fault: str, check: str, words: str) -> None:
    found = await report(tool(fault), fault)
    assert words in failed(found).get(check, ""), str(found)
    with pytest.raises(AssertionError, match=check):
        found.assert_passed()


def failed(found: Report) -> dict[str, str]:
    return {check.name: check.message for check in found.checks if check.passed is False}


async def test_a_native_tool_that_takes_no_notice_of_its_key() -> None:
    found = await report(tool("keyless", Idempotency.NATIVE))
    assert "stands 0 times instead of 1" in str(found)


async def test_a_native_tool_of_which_one_call_is_all() -> None:
    found = await report(tool("one for ever", Idempotency.NATIVE, Effect.SEND))
    assert "stands 1 times instead of 2" in failed(found)["two calls alike"]


async def test_a_system_that_refuses_a_second_one_may() -> None:
    found = await report(tool("one at a time", Idempotency.NATIVE))
    checks = {check.name: (check.passed, check.message) for check in found.checks}
    assert checks["two calls alike"] == (True, "the second is refused: conflict")


async def test_a_tool_that_only_says_that_it_reads() -> None:
    found = await report(tool(idempotency=Idempotency.NATIVE, effect=Effect.NONE))
    assert "stands 1 times instead of 0" in failed(found)["a call"]


async def test_a_system_that_cannot_tell_yet_has_its_time() -> None:
    (await report(tool(), "unsure", patience_seconds=1)).assert_passed()


async def test_a_system_that_can_never_tell_is_for_a_person() -> None:
    found = await report(tool("never knows"))
    found.assert_passed()
    assert "-       a lost answer: a person is asked: the office keeps no books" in str(found)


async def test_a_tool_is_tried_as_what_it_narrows_itself_to() -> None:
    made = tool(idempotency=Idempotency.NATIVE)
    made.spec = made.spec.model_copy(update={"idempotency": Idempotency.RECONCILE})
    assert not (await report(made)).passed

    @made.narrow
    async def _(arguments: Wanted, context: ToolContext[Office]) -> tuple[Effect, Idempotency]:
        return Effect.CREATE, Idempotency.NATIVE

    (await report(made)).assert_passed()


async def test_what_takes_an_effect_back_may_be_computed_from_the_output() -> None:
    found = await report(tool("computed"))
    found.assert_passed()
    assert "compensation" in {check.name for check in found.checks if check.passed}


async def test_who_takes_an_effect_back_is_not_known() -> None:
    found = await report(tool(), undo=None)
    assert "give World.undo to have badges.revoke tried" in str(found)
    assert "compensation" in failed(await report(tool("no such field"), undo=None))


async def test_a_tool_without_a_wait_cannot_be_cut() -> None:
    office = Office()

    def arguments(number: int) -> dict[str, int]:
        office.badges.append({"person": f"person {number}", "key": ""})
        return {"number": len(office.badges) - 1}

    async def standing(arguments: Mapping[str, Any]) -> int:
        return int(not office.badges[arguments["number"]]["person"])

    found = await check_tool(revoking(), World(settings=office, arguments=arguments, standing=standing))
    found.assert_passed()
    assert "-       a cut at every wait: it never waits" in str(found)


async def test_a_tool_that_does_it_again() -> None:
    made = tool(idempotency=Idempotency.NONE)
    made.spec = made.spec.model_copy(update={"idempotency": Idempotency.NATIVE})
    found = await report(made)
    assert "stands 2 times instead of 1" in failed(found)["a repeated call"]
    assert "and a retry the effect" in failed(found)["a cut at every wait"]


async def test_an_effect_that_nobody_can_count() -> None:
    found = await check_tool(tool(), World(settings=Office(), arguments=lambda n: {"person": f"{n}"}))
    assert "give World.standing" in str(found)
