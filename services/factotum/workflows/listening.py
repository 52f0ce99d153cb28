"""Waiting for events and for messages. Source: DSL 1.0.3, "Listen" and "AsyncAPI Subscription"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from factotum.procedures import expressions
from factotum.procedures.consumption import EventConsumption, EventFilter
from factotum.procedures.event_matching import correlation_keys, same, takes
from factotum.procedures.protocols import RECEIVE
from factotum.procedures.tasks import ForeachEvent, ListenTask, Subscription
from factotum.workflows.inbox import Event, Listener
from factotum.workflows.place import Place
from factotum.workflows.progress import Frame
from factotum.workflows.step import Step

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

Json = Any

# How many messages are asked for at one time, and how long the tool waits for the first of them.
BATCH = 50
WAIT_SECONDS = 10.0


async def listen(run: Interpreter, task: ListenTask, place: Place) -> Json:
    """The events consumed, in their order, each as `read` and `foreach.output.as` have it."""
    frame, wanted = place.frame, task.listen.to
    frame.setdefault("consumed", [])
    listener = run.inbox.listen(frame)
    try:
        while not _finished(wanted, frame):
            if frame["consumed"] and "event" not in frame and await _satisfied(run, wanted.until, place):
                break
            event = frame.get("event")
            if event is None:
                event = await _next(run, wanted, listener, place)
                if event is None:
                    break
                frame["event"] = event
            read = event if task.listen.read == "envelope" else event.get("data")
            frame["consumed"].append(await _handled(run, task.foreach, f"{place.pointer}/foreach", read, place))
            del frame["event"]
            # A listener makes no effects of its own, but its history grows and its worker must be heard of.
            if not _finished(wanted, frame):
                await run.pass_gate()
                await run.rest(place.scope)
    finally:
        run.inbox.leave(listener)
    return frame["consumed"]


async def _handled(run: Interpreter, each: ForeachEvent | None, pointer: str, item: Json, place: Place) -> Json:
    """What `foreach` makes of one event or message; itself without one."""
    if each is None:
        return item
    index = len(place.frame["consumed"])
    bound = {each.item: item, each.at: index}
    scope = place.scope.bind(**bound).round(str(index))
    output = await run.tasks(each.do, f"{pointer}/do", item, scope) if each.do else item
    arguments = {**place.arguments, **bound, "context": run.context}
    output = await run.shape(each.output.as_, output, arguments, f"{pointer}/output/as")
    await run.validate(each.output, output, f"{pointer}/output/schema")
    if each.export.as_ is not None:
        arguments["output"] = output
        exported = await run.shape(each.export.as_, output, arguments, f"{pointer}/export/as")
        await run.validate(each.export, exported, f"{pointer}/export/schema")
        run.context = exported
    return output


def _finished(wanted: EventConsumption, frame: Frame) -> bool:
    """Whether as many events were consumed as are ever wanted, where that is known beforehand."""
    if frame.get("event") is not None:
        return False
    if wanted.all is not None:
        return len(frame.get("met", ())) == len(wanted.all)
    return wanted.until is None and bool(frame["consumed"])


async def _next(run: Interpreter, wanted: EventConsumption, listener: Listener, place: Place) -> Event | None:
    """The next event to be consumed; None once those of `until` have come, which are no part of the output.

    Both are looked for in one pass, so that an event counts if it came before the one that ends the
    listening, and only then.
    """
    until = wanted.until if isinstance(wanted.until, EventConsumption) else None
    ending = place if until is None else replace(place, frame=place.frame.setdefault("until", {"consumed": []}))
    ends = False

    async def wants(event: Event) -> bool:
        nonlocal ends
        ends = until is not None and await _meets(run, until, event, ending)
        return ends or await _meets(run, wanted, event, place)

    while until is None or not _finished(until, ending.frame):
        event = await listener.next(wants)
        if not ends:
            return event
        ending.frame["consumed"].append(event.get("id"))
    return None


async def _meets(run: Interpreter, wanted: EventConsumption, event: Event, place: Place) -> bool:
    """Whether one of the filters takes the event; of `all`, one that none was taken for yet."""
    if wanted.any == ():
        return True
    met: list[int] = place.frame.setdefault("met", [])
    for index, filter_ in enumerate(wanted.filters):
        if wanted.all is not None and index in met:
            continue
        if await _takes(run, filter_, event, place, place.frame):
            if wanted.all is not None:
                met.append(index)
            return True
    return False


async def _satisfied(run: Interpreter, until: str | EventConsumption | None, place: Place) -> bool:
    """Whether the condition of `until` holds, evaluated on what was consumed."""
    if not isinstance(until, str):
        return False
    arguments = {**place.arguments, "context": run.context}
    where = f"{place.pointer}/listen/to/until"
    return expressions.truthy(await run.shape(until, place.frame["consumed"], arguments, where))


async def _takes(run: Interpreter, filter_: EventFilter, event: Event, place: Place, frame: Frame) -> bool:
    """Whether the event is wanted and belongs with those consumed before."""
    arguments = {**place.arguments, "context": run.context}
    if not await takes(filter_, event, arguments, run.costly):
        return False
    found = await correlation_keys(filter_, event, value=place.value, arguments=arguments, costly=run.costly)
    if found is None:
        return False
    keys: dict[str, Json] = frame.setdefault("keys", {})
    if any(name in keys and not same(keys[name], value) for name, value in found.items()):
        return False
    keys.update(found)
    return True


async def subscribe(run: Interpreter, wanted: Subscription, with_: Mapping[str, Json], place: Place) -> Json:
    """The messages of an AsyncAPI operation, in their order, each as `foreach` has it."""
    frame, pointer = place.frame, f"{place.pointer}/with/subscription"
    frame.setdefault("consumed", [])
    frame.setdefault("messages", [])
    if "until" not in frame and wanted.consume.for_ is not None:
        seconds = await run.seconds(wanted.consume.for_, place.value, place.arguments, f"{pointer}/consume/for")
        frame["until"] = run.effects.now().timestamp() + seconds
    given = {name: value for name, value in with_.items() if name != "subscription"}
    arguments = await run.resolve(given, place.value, place.arguments, f"{place.pointer}/with")
    while await _wanted(run, wanted, place, pointer):
        if not frame["messages"]:
            left = None if "until" not in frame else frame["until"] - run.effects.now().timestamp()
            if left is not None and left <= 0:
                break
            await _fetch(run, wanted, place, arguments, left)
            continue
        message = frame["messages"][0]
        if wanted.filter is None or expressions.truthy(
            await run.shape(wanted.filter, message, {**place.arguments, "context": run.context}, f"{pointer}/filter")
        ):
            frame["consumed"].append(await _handled(run, wanted.foreach, f"{pointer}/foreach", message, place))
        frame["messages"].pop(0)
    return frame["consumed"]


async def _wanted(run: Interpreter, wanted: Subscription, place: Place, pointer: str) -> bool:
    """Whether more messages are consumed."""
    consume, consumed = wanted.consume, place.frame["consumed"]
    if consume.amount is not None:
        return len(consumed) < consume.amount
    arguments = {**place.arguments, "context": run.context}
    if consume.while_ is not None:
        return expressions.truthy(await run.shape(consume.while_, consumed, arguments, f"{pointer}/consume/while"))
    return not expressions.truthy(await run.shape(consume.until, consumed, arguments, f"{pointer}/consume/until"))


async def _fetch(
    run: Interpreter, wanted: Subscription, place: Place, arguments: dict[str, Json], left: float | None
) -> None:
    """Asks for messages behind those that were had before."""
    frame = place.frame
    amount = wanted.consume.amount
    step = Step(
        pointer=place.pointer,
        iteration=f"{place.iteration}#{frame.get('fetches', 0)}",
        tool=RECEIVE,
        arguments={
            **arguments,
            "cursor": frame.get("cursor", ""),
            "max_messages": BATCH if amount is None else min(BATCH, amount - len(frame["consumed"])),
            "wait_seconds": WAIT_SECONDS if left is None else min(WAIT_SECONDS, left),
        },
        summary="",
        patient=not place.scope.in_try,
        secrets=run.secrets if run.secrets.names else None,
    )
    async with run.effect():
        found = await run.effects.call(step)
    frame.update(messages=found["messages"], cursor=found["cursor"], fetches=frame.get("fetches", 0) + 1)
