"""Keeps the parts of a stack running: starts them in order, watches them, restarts them, ends them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from factotum.dev import probes, state
from factotum.dev.part import Part, fill
from factotum.dev.process import Child, last_lines, rotate
from factotum.dev.restarts import MOST_RESTARTS, WELL_SECONDS, Restarts
from factotum.dev.state import PartHealth, PartState, StackHealth, StackState

PROBE_EVERY = 0.1
PROBE_TIMEOUT = 2.0
# How often a part that answered is asked again, and how long it may take: longer than its start's
# probes, since a busy machine is no reason to call it away.
LOOK_EVERY = 3.0
LOOK_TIMEOUT = 4.0
LAST_LINES = 15

Say = Callable[[str], None]


class Stack:
    """What the keepers of the parts share: the values of the blanks, the state, who waits for whom."""

    def __init__(
        self,
        parts: Sequence[Part],
        stack: StackState,
        *,
        values: Mapping[str, str],
        environment: Mapping[str, str],
        say: Say,
        well_seconds: float = WELL_SECONDS,
    ) -> None:
        self.state = stack
        self.values = dict(values)
        self.environment = dict(environment)
        self.say = say
        self.keepers = {part.name: Keeper(part, self, Restarts(well_seconds)) for part in parts}
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event, when_settled: Callable[[StackState], None]) -> None:
        """Runs the stack until `stop` is set and all parts are gone.

        `when_settled` is called once, as soon as all parts answer or one was given up on.
        """
        settled = False
        changed = self._changed
        stopping = asyncio.ensure_future(stop.wait())
        tasks = [asyncio.ensure_future(keeper.keep()) for keeper in self.keepers.values()]
        try:
            while not stop.is_set():
                health = await self._health()
                if health != self.state.health:
                    self._say_health(health)
                    self.state.health = health
                    if not settled and health in ("ready", "degraded"):
                        settled = True
                        when_settled(self.state)
                    self.save()
                waiting = asyncio.ensure_future(changed.wait())
                running: list[asyncio.Future[Any]] = [task for task in tasks if not task.done()]
                await asyncio.wait([stopping, waiting, *running], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                changed.clear()
                for task in tasks:
                    if task.done() and task.exception():
                        task.result()  # a fault of ours: better to end the stack than to keep half of it
        finally:
            self.state.health = "stopping"
            self.save()
            await self._stop(tasks)
            self.state.health = "stopped"
            self.save()

    def kill(self) -> None:
        """Ends all processes at once."""
        for keeper in self.keepers.values():
            if keeper.child is not None:
                keeper.child.kill()

    def note(self, name: str, health: PartHealth, *, reason: str = "") -> None:
        """Writes down how a part is."""
        part = self.state.parts[name]
        part.health = health
        part.reason = reason
        self.save()
        self._changed.set()

    def save(self) -> None:
        state.write(self.state)

    def publish(self, name: str, address: str) -> None:
        """A part has told where it is. Whoever was started with another address is started anew."""
        self.values[name] = address
        for keeper in self.keepers.values():
            keeper.refresh()

    async def _health(self) -> StackHealth:
        parts = self.state.parts.values()
        if any(part.health == "given-up" for part in parts):
            return "degraded"
        if all(part.health == "healthy" for part in parts):
            if self.state.health == "ready":
                return "ready"
            # One may have gone since it answered: ask all of them at one time.
            faults = await asyncio.gather(*(probes.fault(part.probe, PROBE_TIMEOUT) for part in parts))
            if not any(faults) and all(part.health == "healthy" for part in parts):
                return "ready"
            asyncio.get_running_loop().call_later(PROBE_EVERY, self._changed.set)
        return "starting" if self.state.health == "starting" else "recovering"

    def _say_health(self, health: StackHealth) -> None:
        if health == "ready" and self.state.health in ("recovering", "degraded"):
            self.say("all parts answer again")

    async def _stop(self, tasks: Sequence[asyncio.Future[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gone: dict[str, asyncio.Event] = {name: asyncio.Event() for name in self.keepers}

        async def end(keeper: Keeper) -> None:
            for other in self.keepers.values():
                if keeper.part.name in other.part.needs:
                    await gone[other.part.name].wait()
            await keeper.end()
            gone[keeper.part.name].set()

        try:
            await asyncio.gather(*(end(keeper) for keeper in self.keepers.values()))
        finally:
            self.kill()


class Keeper:
    """Keeps one part running."""

    def __init__(self, part: Part, stack: Stack, restarts: Restarts) -> None:
        self.part = part
        self.child: Child | None = None
        self.healthy = asyncio.Event()
        self._stack = stack
        self._restarts = restarts
        self._answers_since: float | None = None
        self._started_with: tuple[list[str], dict[str, str]] | None = None
        self._outdated = asyncio.Event()

    @property
    def _state(self) -> PartState:
        return self._stack.state.parts[self.part.name]

    async def keep(self) -> None:
        """Returns when the part was given up on."""
        rotate(self._state.log)
        while True:
            for need in self.part.needs:
                await self._stack.keepers[need].healthy.wait()
            self._answers_since = None
            reason = await self._live()
            self.healthy.clear()
            self.child = None
            self._state.process = None
            if reason is None:
                continue
            lines = last_lines(self._state.log, LAST_LINES)
            now = time.monotonic()
            pause = self._restarts.after_death(now - (self._answers_since or now))
            if pause is None:
                self._say(f"{reason}; given up on after {MOST_RESTARTS} restarts. Its last lines:\n{lines}")
                self._note("given-up", f"{reason}\n{lines}")
                return
            self._say(f"{reason}; restart {self._restarts.count} of {MOST_RESTARTS} in {pause:.1f} s")
            self._note("restarting", f"{reason}\n{lines}")
            await asyncio.sleep(pause)
            self._state.restarts += 1

    def refresh(self) -> None:
        """Starts the part anew if it would now be started differently."""
        if self.child is not None and self._started_with != self._rendered():
            # At once: nobody may take it for healthy while it is being ended.
            self.healthy.clear()
            self._outdated.set()
            self._say("is started anew: what it depends on has a new address")
            self._note("restarting", "what it depends on has a new address")

    async def end(self) -> None:
        """Ends the process, if there is one."""
        if self.child is not None:
            await self.child.stop(self.part.stop_seconds)
            self.child = None
        self._state.process = None
        if self._state.health != "given-up":
            self._state.health = "stopped"
        self._stack.save()

    async def _live(self) -> str | None:
        """One life of the process. Why it ended; None if it was ended because it is outdated."""
        if self.part.publishes:
            (self._stack.state.directory / self.part.publishes).unlink(missing_ok=True)
        self._outdated.clear()
        if self.part.volatile:
            self._say(f"starts: {self.part.note}")
        self._started_with = command, environment = self._rendered()
        self.child = await Child.start(command, environment, self._state.log)
        self._state.process = self.child.id
        self._note("starting")
        ended = asyncio.ensure_future(self.child.wait())
        outdated = asyncio.ensure_future(self._outdated.wait())
        answers = asyncio.ensure_future(self._answers())
        try:
            done, _ = await asyncio.wait(
                [ended, outdated, answers], timeout=self.part.start_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                await self.child.stop(self.part.stop_seconds)
                return f"did not answer within {self.part.start_seconds:.0f} s"
            if answers in done:
                answers.result()
                if not ended.done() and not outdated.done():
                    self.healthy.set()
                    self._answers_since = time.monotonic()
                    self._note("healthy")
                await self._look_after([ended, outdated])
            if ended.done():
                return ended.result()
            await self.child.stop(self.part.stop_seconds)
            return None
        finally:
            for waiting in (ended, outdated, answers):
                waiting.cancel()

    async def _look_after(self, ends: Sequence[asyncio.Future[Any]]) -> None:
        """Returns when one of the futures is done. Until then it is written down whether the part answers."""
        probe = self._filled(self.part.probe)

        async def over(within: float) -> bool:
            done, _ = await asyncio.wait(ends, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            return bool(done)

        while not await over(LOOK_EVERY):
            fault = await probes.fault(probe, LOOK_TIMEOUT)
            # Of a process that ended it is said how, not that it does not answer.
            if await over(PROBE_EVERY):
                return
            if fault is None and not self.healthy.is_set():
                self.healthy.set()
                self._say("answers again")
                self._note("healthy")
            elif fault is not None and self.healthy.is_set():
                self.healthy.clear()
                self._say(f"does not answer any more: it {fault}")
                self._note("not-answering", f"it {fault}")

    async def _answers(self) -> None:
        """Returns when the part answers its probe, and has told where it is if it is to tell."""
        if self.part.publishes:
            self._learn_address(await _content(self._stack.state.directory / self.part.publishes))
        probe = self._filled(self.part.probe)
        while True:
            if await probes.fault(probe, PROBE_TIMEOUT) is None:
                return
            await asyncio.sleep(PROBE_EVERY)

    def _learn_address(self, address: str) -> None:
        self._stack.publish(self.part.name, address)
        self._state.probe = self._filled(self.part.probe)
        self._state.addresses = {purpose: self._filled(text) for purpose, text in self.part.addresses.items()}

    def _rendered(self) -> tuple[list[str], dict[str, str]]:
        command = [self._filled(word) for word in self.part.command]
        decided = {name: self._filled(text) for name, text in self.part.environment.items()}
        defaults = {name: self._filled(text) for name, text in self.part.defaults.items()}
        return command, {**defaults, **self._stack.environment, **decided}

    def _filled(self, text: str) -> str:
        return fill(text, self._stack.values)

    def _note(self, health: PartHealth, reason: str = "") -> None:
        self._stack.note(self.part.name, health, reason=reason)

    def _say(self, text: str) -> None:
        self._stack.say(f"{self.part.name} {text}")


async def _content(path: Path) -> str:
    while True:
        with contextlib.suppress(FileNotFoundError):
            if text := path.read_text(encoding="utf-8").strip():  # noqa: ASYNC240 - a few bytes
                return text
        await asyncio.sleep(PROBE_EVERY / 2)
