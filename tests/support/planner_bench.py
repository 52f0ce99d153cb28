"""Planners on one file, with runs that are only remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.events.topics import EVENTS
from factotum.planner.message import Message
from factotum.planner.preparation import Prepared
from factotum.procedures.expressions import Costly
from factotum.procedures.fault import Fault, FaultyDocument
from factotum.procedures.model import Document
from factotum.procedures.parse import Source
from factotum.runs.errors import RunNotFound
from factotum.workflows.contract import EventSignal, RunInput
from tests.support.intake import Taking, nothing_is_costly, taking


class StubRuns:
    """Remembers what is started and signalled; a run is there once it is started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.inputs: list[RunInput] = []
        self.heard: list[tuple[str, str]] = []
        # Raised one after the other, before anything is signalled or started.
        self.failures: list[Exception] = []
        self.starting = asyncio.Event()
        self.starting.set()

    async def start(self, run_id: str, run: RunInput, document: Document) -> bool:
        await self.starting.wait()
        if self.failures:
            raise self.failures.pop(0)
        if run_id in self.started:
            return False
        self.started.append(run_id)
        self.inputs.append(run)
        return True

    async def signal(self, tenant: str, run_id: str, event: EventSignal) -> None:
        # A slow answer to the first would let a later one overtake.
        await asyncio.sleep(0.02 if not self.heard else 0)
        if self.failures:
            raise self.failures.pop(0)
        if run_id not in self.started:
            raise RunNotFound(run_id)
        self.heard.append((run_id, event.event["id"]))


class KeptEvents(EventProducer):
    def __init__(self) -> None:
        super().__init__("127.0.0.1:1", client_id="test")
        self.events: list[tuple[str, Event]] = []

    async def publish(self, topic: str, event: Event) -> None:
        self.events.append((topic, event))

    def on(self, topic: str) -> list[Event]:
        return [event for found, event in self.events if found == topic]


class Allows:
    """Prepares everything, until `fault` says why not."""

    fault = ""

    async def prepare(self, tenant: str, source: Source, *, acting_for: str | None = None) -> Prepared:
        if self.fault:
            raise FaultyDocument([Fault("", self.fault)])
        return Prepared(source, {}, uses=(source,))


class PlannerBench:
    """Opens planners, which end with the stack."""

    def __init__(self, path: Path, stack: AsyncExitStack, texts: tuple[str, ...], costly: Costly) -> None:
        self._path, self._stack, self._texts, self._costly = path, stack, texts, costly
        self.runs, self.kept, self.allows = StubRuns(), KeptEvents(), Allows()
        self.moment = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self._offset = 0

    @classmethod
    def on(
        cls, path: Path, stack: AsyncExitStack, *texts: str, costly: Callable[..., Any] = nothing_is_costly
    ) -> PlannerBench:
        return cls(path, stack, texts, costly)

    async def planner(self) -> Taking:
        """One more planner."""
        runs: Any = self.runs
        allows: Any = self.allows
        return await self._stack.enter_async_context(
            taking(
                self._path,
                runs=runs,
                producer=self.kept,
                preparation=allows,
                texts=self._texts,
                costly=self._costly,
                now=lambda: self.moment,
            )
        )

    def message(self, event_type: str, event_id: str, partition: int = 0, **attributes: Any) -> Message:
        """A message at the next offset."""
        event = Event(**{"id": event_id, "source": "/t", "type": event_type, "tenant": "acme", **attributes})
        self._offset += 1
        return Message(EVENTS, partition, self._offset, event.to_bytes())
