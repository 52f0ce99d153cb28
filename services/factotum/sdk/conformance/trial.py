"""Calls of a tool as an executor makes them, one key and one thing to act on for each."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Generic

from jsonschema import Draft202012Validator

from factotum.sdk.conformance.world import Arguments, Fault, S, World
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Cancelled, NotPermitted, ToolError, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Tool

SCHEME = "secret://"
# Seconds until what was under way when a call was cut has arrived in the system or never will.
SETTLING_SECONDS = 5.0
# Seconds between two questions to a system that cannot tell yet.
ASKING_SECONDS = 0.05
NOW = timedelta()


class Undecided(Exception):
    """The system can never tell what became of a call."""


class Trial(Generic[S]):
    """A tool under trial in a world.

    `told` is all that it answered, raised and reported, `kinds` are its errors', `given` the values of secrets that it
    was given, by name.
    """

    def __init__(self, tool: Tool[Any, Any, S], world: World[S]) -> None:
        self.tool = tool
        self.spec = tool.spec
        self.world = world
        self.numbers = count(1)
        self.told: list[str] = []
        self.kinds: set[str] = set()
        self.given: set[tuple[str, str]] = set()

    @property
    def asks(self) -> bool:
        return self.spec.effect is not Effect.NONE and self.spec.idempotency is Idempotency.RECONCILE

    async def arguments(self) -> Arguments:
        made = self.world.arguments(next(self.numbers))
        return await made if inspect.isawaitable(made) else made

    def context(self, secrets: Mapping[str, str] | None = None, *, later: timedelta = NOW) -> ToolContext[S]:
        """Of a new key. `later`: of a call that is made when so much time has gone by."""
        world, values = self.world, self.world.secrets if secrets is None else secrets
        self.given |= set(values.items())

        def now() -> datetime:
            return world.now() + later

        def secret(reference: str) -> str:
            try:
                return values[reference.removeprefix(SCHEME)]
            except KeyError:
                raise NotPermitted(f"World.secrets has no {reference!r}") from None

        def report(text: str, fraction: float | None = None) -> None:
            self.told.append(text)

        key = f"check:{self.spec.name}:{next(self.numbers)}:{world.now().timestamp()}"
        return ToolContext(
            tenant=world.tenant,
            idempotency_key=key,
            run_id="check",
            started_at=now(),
            settings=world.settings,
            secret=secret,
            now=now,
            declared_secret=lambda name: secret(SCHEME + name),
            user=world.user,
            report=report,
            **world.surroundings,
        )

    def read(self, arguments: Arguments) -> Any:
        return self.tool.arguments.model_validate_json(json.dumps(arguments))

    async def call(self, read: Any, context: ToolContext[S]) -> str:
        clock, seconds = asyncio.get_running_loop().time, self.spec.timeout_seconds
        begun = clock()
        try:
            async with asyncio.timeout(seconds) as limit:
                text = self.text(await self.tool.function(read, context))
        except (ToolError, TimeoutError) as error:
            if isinstance(error, ToolError):
                self.told.append(error.message)
                self.kinds.add(error.kind)
            if limit.expired():
                raise Fault(f"a call did not end within its timeout of {seconds:g} s") from error
            raise
        # One that keeps the event loop to itself cannot be stopped.
        if (took := clock() - begun) > seconds:
            raise Fault(f"a call took {took:.1f} s, and its timeout is {seconds:g} s")
        self.told.append(text)
        return text

    async def called(self, arguments: Arguments, context: ToolContext[S]) -> str:
        try:
            return await self.call(self.read(arguments), context)
        except Cancelled as error:
            raise Fault("it answered that it was cancelled, which it was not") from error
        except ToolError as error:
            raise Fault(f"the call {shown(arguments)} raised {error.kind}: {error.message}") from error

    async def asked(self, arguments: Arguments, context: ToolContext[S], *, patience: float = 0.0) -> str | None:
        """Asks again for so many seconds while the system cannot tell yet."""
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            try:
                return await self._asked_once(arguments, context)
            except Unavailable:
                if asyncio.get_running_loop().time() >= deadline:
                    raise
            await asyncio.sleep(ASKING_SECONDS)

    async def found(self, arguments: Arguments, context: ToolContext[S]) -> str | None:
        """What `reconcile` says in the end. Raises `Undecided` where it can never tell, `Fault` where it does not."""
        try:
            return await self.asked(arguments, context, patience=self.world.patience_seconds)
        except Ambiguous as error:
            raise Undecided(error.message) from error
        except ToolError as error:
            raise Fault(f"reconcile raised {error.kind}: {error.message}") from error

    async def _asked_once(self, arguments: Arguments, context: ToolContext[S]) -> str | None:
        if self.tool.reconciler is None:
            raise Fault("it has no @reconcile function")
        try:
            found = await self.tool.reconciler(self.read(arguments), context)
        except ToolError as error:
            self.told.append(error.message)
            raise
        text = None if found is None else self.text(found)
        self.told.append(text or "")
        return text

    def text(self, output: Any) -> str:
        model = self.tool.output.model_validate(output)
        text: str = model.model_dump_json(by_alias=True, warnings="error")
        return text

    async def stands(self, arguments: Arguments, wanted: int, when: str) -> None:
        if self.world.standing is None:
            return
        wanted = 0 if self.spec.effect is Effect.NONE else wanted
        standing = await self.settled(arguments, wanted)
        if standing != wanted:
            raise Fault(f"{when} the effect of {shown(arguments)} stands {standing} times instead of {wanted}")

    async def settled(self, arguments: Arguments, wanted: int | None = None) -> int:
        """How often the effect stands: at once if that is what is wanted, else once it is still."""
        assert self.world.standing is not None
        standing = await self.world.standing(arguments)
        deadline = asyncio.get_running_loop().time() + SETTLING_SECONDS
        while standing != wanted and wanted is not None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
            standing = await self.world.standing(arguments)
        return standing

    def valid(self, value: Any, schema: dict[str, Any], what: str) -> None:
        for error in Draft202012Validator(schema).iter_errors(value):
            raise Fault(f"{what} does not meet its schema at {error.json_path}: {error.message}")


def shown(arguments: Arguments) -> str:
    text = json.dumps(arguments, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:200]}…"
