"""Events and their listeners."""

from __future__ import annotations

import json

from factotum.workflows.inbox import Event, Inbox, Listener


async def everything(_: Event) -> bool:
    return True


async def nothing(_: Event) -> bool:
    return False


def event(number: int) -> Event:
    return {"source": "/s", "id": str(number)}


def ids(inbox: Inbox) -> list[str]:
    return [kept[1]["id"] for kept in inbox.as_json()["kept"]]


async def test_an_event_waits_for_who_wants_it_and_comes_once() -> None:
    inbox = Inbox()
    inbox.offer(event(1))
    inbox.offer(event(1))
    assert ids(inbox) == ["1"]
    assert await inbox.listen({}).next(everything) == event(1)
    inbox.offer(event(1))
    assert ids(inbox) == []


async def test_who_listens_in_another_execution_has_read_what_it_had_read() -> None:
    inbox, frame, other = Inbox(), {}, {}
    listener, _ = inbox.listen(frame), inbox.listen(other)
    inbox.offer(event(1))
    await listener.next(everything)
    assert ids(inbox) == ["1"], "the other one has not looked at it"
    moved = Inbox(json.loads(json.dumps(inbox.as_json())))
    again = moved.listen(json.loads(json.dumps(frame)))
    assert moved.unread(again) is None
    assert await moved.listen(json.loads(json.dumps(other))).next(everything) == event(1)


async def test_what_nobody_took_is_kept_for_who_comes_later() -> None:
    inbox = Inbox()
    first: Listener = inbox.listen({})
    inbox.offer(event(1))
    kept = inbox.unread(first)
    assert kept is not None
    inbox.read(first, kept, taken=await nothing(kept.event))
    assert await inbox.listen({}).next(everything) == event(1)
