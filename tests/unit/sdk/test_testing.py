"""The conformance suite: a sound tool passes, and each fault is found by the check that is there for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Example, Idempotency
from factotum.sdk.testing import Report, World, check_tool
from factotum.sdk.tool import Connector, Tool

TOKEN = "badge-t0ken-1"


class Office(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    away: bool = False
    fault: str = ""
    badges: list[dict[str, str]] = Field(default=[])


class Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    person: str = Field(min_length=1)


class Badge(BaseModel):
    number: int
    person: str


class Forgiving(BaseModel):
    person: str = ""


async def request(context: ToolContext[Office]) -> None:
    await asyncio.sleep(0)
    if context.settings.away:
        if context.settings.fault == "raw":
            raise ConnectionError("nobody there")
        raise Unavailable("the office is closed", effect_possible=False)
    if context.secret("secret://token") != TOKEN:
        said = context.secret("secret://token") if context.settings.fault == "tells" else "it"
        raise NotPermitted(f"the office does not know {said}")


def tool(fault: str = "", idempotency: Idempotency = Idempotency.RECONCILE) -> Tool[Any, Any, Office]:
    """Issues badges; `fault` is what its author got wrong."""
    connector = Connector("badges", settings=Office)

    @connector.tool(
        effect=Effect.CREATE,
        idempotency=idempotency,
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
        if fault == "logs":
            logging.getLogger("badges").debug("calling with %s", context.secret("secret://token"))
        key = "" if fault == "keyless" else context.idempotency_key
        known = [badge for badge in office.badges if badge["key"] == key]
        if not known or idempotency is not Idempotency.NATIVE:
            office.badges.append({"person": arguments.person, "key": key})
        await asyncio.sleep(0)
        answer = Badge(number=1, person=arguments.person)
        if fault == "shape":
            answer.number = "one"  # type: ignore[assignment]
        if fault == "tells":
            answer.person = f"{arguments.person} by {TOKEN}"
        return answer

    if idempotency is Idempotency.RECONCILE:

        @issue.reconcile
        async def _(arguments: Wanted, context: ToolContext[Office]) -> Badge | None:
            if not (context.settings.away and fault == "guesses"):
                await request(context)
            found = [
                badge
                for badge in context.settings.badges
                if badge["key"] == context.idempotency_key or fault == "any badge will do"
            ]
            if not found or fault == "forgets":
                return None
            return Badge(number=2 if fault == "misremembers" else 1, person=arguments.person)

    if fault == "forgiving":
        issue.arguments = Forgiving
    return issue


async def report(made: Tool[Any, Any, Office], fault: str = "") -> Report:
    office = Office()
    badges = office.badges

    async def standing(arguments: Mapping[str, Any]) -> int:
        return sum(badge["person"] == arguments["person"] for badge in badges)

    world = World(
        settings=office,
        arguments=lambda number: {"person": f"person {number}"},
        standing=standing,
        secrets={"token": TOKEN},
        away=Office(away=True, fault=fault),
    )
    office.fault = fault
    return await check_tool(made, world)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("factotum.sdk.conformance.trial.SETTLING_SECONDS", 0.05)
    monkeypatch.setattr("factotum.sdk.conformance.once.CANCEL_SECONDS", 0.1)


@pytest.mark.parametrize("idempotency", [Idempotency.RECONCILE, Idempotency.NATIVE, Idempotency.NONE])
async def test_a_sound_tool(idempotency: Idempotency) -> None:
    found = await report(tool(idempotency=idempotency))
    found.assert_passed()
    applied = {check.name for check in found.checks if check.passed}
    assert ("a lost answer" in applied) is (idempotency is Idempotency.RECONCILE)
    assert ("a repeated call" in applied) is (idempotency is Idempotency.NATIVE)
    assert {"spec", "examples", "a call", "a cut at every wait", "redaction"} <= applied
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
        ("tells", "redaction", "'token'"),
        ("logs", "redaction", "'token'"),
    ],
)
async def test_each_fault_is_found(fault: str, check: str, words: str) -> None:
    found = await report(tool(fault), fault)
    failed = {one.name: one.message for one in found.checks if one.passed is False}
    assert words in failed.get(check, ""), str(found)
    with pytest.raises(AssertionError, match=check):
        found.assert_passed()


async def test_a_native_tool_that_takes_no_notice_of_its_key() -> None:
    made = tool("keyless", Idempotency.NATIVE)
    office = Office()

    async def standing(arguments: Mapping[str, Any]) -> int:
        return sum(badge["person"] == arguments["person"] for badge in office.badges)

    world = World(
        settings=office,
        arguments=lambda number: {"person": f"person {number}"},
        standing=standing,
        secrets={"token": TOKEN},
    )
    found = await check_tool(made, world)
    assert "stands 0 times instead of 1" in str(found)


async def test_a_tool_that_does_it_again() -> None:
    made = tool(idempotency=Idempotency.NONE)
    made.spec = made.spec.model_copy(update={"idempotency": Idempotency.NATIVE})
    found = await report(made)
    failed = {check.name: check.message for check in found.checks if check.passed is False}
    assert "stands 2 times instead of 1" in failed["a repeated call"]
    assert "and a retry the effect" in failed["a cut at every wait"]


async def test_an_effect_that_nobody_can_count() -> None:
    found = await check_tool(tool(), World(settings=Office(), arguments=lambda n: {"person": f"{n}"}))
    assert "give World.standing" in str(found)
