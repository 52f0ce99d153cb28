"""The events that a run has heard of, and who in it waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

Json = Any
Event = dict[str, Json]

# Ids that are remembered to tell a repeated delivery; Kafka redelivers what is recent.
MOST_IDS = 10_000


@dataclass(slots=True)
class _Kept:
    number: int
    event: Event
    taken: bool


class Inbox:
    """Keeps every event until a listener takes it: one that came before its listener is not lost.

    An event goes to every listener that waits when it comes and wants it; where none does, to the first
    that comes later and wants it.
    """

    def __init__(self, saved: dict[str, Json] | None = None) -> None:
        self._kept = [_Kept(*each) for each in saved["kept"]] if saved else []
        self._seen: dict[str, None] = dict.fromkeys(saved["seen"] if saved else ())
        self._last: int = saved["last"] if saved else 0
        self._listeners: list[Listener] = []

    def offer(self, event: Event) -> None:
        """Takes an event in; one that came before is dropped."""
        identity = f"{event.get('source')} {event.get('id')}"
        if identity in self._seen:
            return
        self._seen[identity] = None
        if len(self._seen) > MOST_IDS:
            del self._seen[next(iter(self._seen))]
        self._last += 1
        self._kept.append(_Kept(self._last, event, taken=False))
        for listener in self._listeners:
            listener.ring()

    def listen(self, frame: dict[str, Json]) -> Listener:
        """A listener; the frame remembers since when it has listened, and how far."""
        listener = Listener(self, frame.setdefault("listening", {"since": self._last, "read": 0}))
        self._listeners.append(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self._drop()

    def unread(self, listener: Listener) -> _Kept | None:
        """The next event for a listener. What others took before it listened is none of its."""
        return next(
            (
                kept
                for kept in self._kept
                if kept.number > listener.position and (not kept.taken or kept.number > listener.since)
            ),
            None,
        )

    def read(self, listener: Listener, kept: _Kept, *, taken: bool) -> None:
        listener.frame["read"] = kept.number
        kept.taken = kept.taken or taken
        self._drop()

    def _drop(self) -> None:
        """Forgets what was taken, once every listener has looked at it."""
        read = min((listener.position for listener in self._listeners), default=self._last)
        self._kept = [kept for kept in self._kept if not (kept.taken and kept.number <= read)]

    def as_json(self) -> dict[str, Json]:
        return {
            "kept": [[kept.number, kept.event, kept.taken] for kept in self._kept],
            "seen": list(self._seen),
            "last": self._last,
        }


class Listener:
    """One task that waits for events.

    Args:
        frame: `since`, the number of the last event that had come when it began, and `read`, that of the last
            one which it has looked at.
    """

    def __init__(self, inbox: Inbox, frame: dict[str, int]) -> None:
        self._inbox = inbox
        self._bell: asyncio.Future[None] | None = None
        self.frame = frame

    @property
    def since(self) -> int:
        return self.frame["since"]

    @property
    def position(self) -> int:
        return self.frame["read"]

    def ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def next(self, wants: Callable[[Event], Awaitable[bool]]) -> Event:
        """The next event that it wants, in the order in which they came; waits for it."""
        while True:
            kept = self._inbox.unread(self)
            if kept is None:
                self._bell = asyncio.get_running_loop().create_future()
                await self._bell
                continue
            wanted = await wants(kept.event)
            self._inbox.read(self, kept, taken=wanted)
            if wanted:
                return kept.event
