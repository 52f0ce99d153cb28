"""A connector whose system is a folder: what was done is a journal that outlives a killed process.

What goes wrong is scripted beforehand, one word a call; see `World`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Cancelled,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    Unavailable,
)
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector

# Longer than a scripted pause, shorter than patience.
TIMEOUT_SECONDS = 1.0
SECRET = "hunter2"

_BEFORE: dict[str, BaseException] = {
    "refuse": Conflict("the system says: taken"),
    "land-refuse": Conflict("the system says: taken"),
    "gone": NotFound("the system says: who?"),
    "invalid": InvalidArgument("the system says: what?"),
    "bar": NotPermitted("the system says: not you"),
    "away": Unavailable("connection refused", effect_possible=False),
    "limit": RateLimited("come back later", retry_after=7.0),
    "lost-before": Unavailable("no answer"),
    "fail-before": Failed("the system says: disk full"),
    "raise-before": RuntimeError(f"password {SECRET}"),
    "die-before": asyncio.CancelledError(),
    "surrogate": Conflict("the system says: \udcff" + "x" * 10_000),
}
_AFTER: dict[str, BaseException] = {
    "lost": Unavailable("no answer"),
    "fail": Failed("the system says: 500"),
    "raise": RuntimeError(f"password {SECRET}"),
    "ambiguous": Ambiguous("the system cannot say"),
    "die": asyncio.CancelledError(),
}
_WAITS = {"slow": 0.3, "stall": 60.0}
_LINGERS = {"hang": 60.0, "linger": 0.1}
_ASKED: dict[str, BaseException] = {
    "away": Unavailable("connection refused"),
    "ambiguous": Ambiguous("there is no archive"),
    "refused": NotPermitted("the token has expired"),
    "raise": RuntimeError(f"password {SECRET}"),
    "die": asyncio.CancelledError(),
}


class World:
    """The system. Words of a script before the effect: refuse, gone, invalid, bar, away, limit, lost-before,
    fail-before, raise-before, slow, stall, tidy; after it: lost, fail, raise, ambiguous, linger, hang, bad-output,
    kill; `ok` is neither. With `late` the answer is lost and the effect comes with `land`, or with a `land-refuse`.
    `tidy` waits, and says of its interruption that nothing was done.
    `die` and `die-before` end the attempt as a killed process does: nothing of it runs any more.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def effects(self) -> list[dict[str, Any]]:
        journal = self._folder / "journal"
        return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []

    def act(self, **effect: Any) -> None:
        with (self._folder / "journal").open("a") as journal:
            journal.write(json.dumps(effect) + "\n")

    def delay(self, **effect: Any) -> None:
        """An effect on its way, until it lands."""
        (self._folder / "late").write_text(json.dumps(effect))

    def land(self) -> None:
        late = self._folder / "late"
        if late.exists():
            self.act(**json.loads(late.read_text()))
            late.unlink()

    def script(self, *words: str, asked: tuple[str, ...] = ()) -> None:
        """What the next calls, and the next questions, meet with; then all goes well."""
        (self._folder / "calls").write_text("\n".join(words))
        (self._folder / "asked").write_text("\n".join(asked))

    @property
    def begun(self) -> bool:
        """Whether as many calls have begun as the script has words."""
        return not (self._folder / "calls").read_text()

    def next(self, which: str) -> str:
        script = self._folder / which
        word, _, rest = (script.read_text() if script.exists() else "").partition("\n")
        script.write_text(rest)
        return word or "ok"


class FakeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    world: Path
    token: str = "secret://fake-token"


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, pattern="^[a-z]+$")
    token: str | None = None


class Made(BaseModel):
    id: str
    name: str


connector = Connector("fake", settings=FakeSettings)


async def _do(thing: Thing, context: ToolContext[FakeSettings]) -> Made:
    world = World(context.settings.world)
    word = world.next("calls")
    if word in _WAITS:
        await asyncio.sleep(_WAITS[word])
    if word == "tidy":
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise Cancelled("stopped in time", effect_possible=False) from None
    if word == "land-refuse":
        world.land()
    if word in _BEFORE:
        raise _BEFORE[word]
    made = Made(id=f"{context.tenant}-{len(world.effects)}", name=thing.name)
    effect = {"tenant": context.tenant, "key": context.idempotency_key, **made.model_dump()}
    if word == "late":
        world.delay(**effect)
        raise Unavailable("no answer")
    world.act(**effect, begun=context.started_at.isoformat())
    if word in _AFTER:
        raise _AFTER[word]
    if word in _LINGERS:
        await asyncio.sleep(_LINGERS[word])
    if word == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    return Made.model_construct(id=3, name="ada") if word == "bad-output" else made


@connector.tool(effect=Effect.CREATE, idempotency=Idempotency.RECONCILE, timeout_seconds=TIMEOUT_SECONDS)
async def create(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Create a thing."""
    return await _do(arguments, context)


@create.reconcile
async def find_created(arguments: Thing, context: ToolContext[FakeSettings]) -> Made | None:
    world = World(context.settings.world)
    word = world.next("asked")
    if word in _ASKED:
        raise _ASKED[word]
    found = [e for e in world.effects if (e["tenant"], e["key"]) == (context.tenant, context.idempotency_key)]
    return Made(id=found[0]["id"], name=found[0]["name"]) if found else None


@connector.tool(effect=Effect.CREATE, idempotency=Idempotency.RECONCILE)
async def linger(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Create a thing, however long it takes."""
    return await _do(arguments, context)


linger.reconcile(find_created)


@connector.tool(effect=Effect.SEND, idempotency=Idempotency.NONE, timeout_seconds=TIMEOUT_SECONDS)
async def send(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Send a thing; nobody can be asked whether it was sent."""
    return await _do(arguments, context)


@send.receipt
def sent(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    return Made(id=f"receipt of {context.tenant} {context.idempotency_key}", name=arguments.name)


@connector.tool(effect=Effect.UPDATE, idempotency=Idempotency.NATIVE, timeout_seconds=TIMEOUT_SECONDS)
async def put(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Put a thing; putting it again changes nothing, though the journal counts it."""
    return await _do(arguments, context)


@connector.tool(effect=Effect.DELETE, idempotency=Idempotency.NATIVE, timeout_seconds=TIMEOUT_SECONDS)
async def drop(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Drop a thing."""
    return await _do(arguments, context)


@connector.tool(effect=Effect.NONE, timeout_seconds=TIMEOUT_SECONDS)
async def read(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Read a thing."""
    word = World(context.settings.world).next("calls")
    if word in _BEFORE:
        raise _BEFORE[word]
    return Made(id="0", name=arguments.name)


@connector.tool(effect=Effect.NONE)
async def login(arguments: Thing, context: ToolContext[FakeSettings]) -> Made:
    """Use the secret of the settings."""
    return Made(id=str(len(context.secret(context.settings.token))), name=arguments.name)
