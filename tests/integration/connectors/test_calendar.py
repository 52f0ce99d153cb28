"""The calendar connector on Radicale, and on a scripted server for what that one never answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from icalendar import Calendar
from pydantic import ValidationError

from factotum.connectors.calendar import (
    CalendarSettings,
    EventRef,
    EventsQuery,
    FoundEvent,
    NewEvent,
    cancel,
    event_uid,
    find,
    schedule,
)
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from tests.integration.connectors.conftest import PASSWORD
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import closed_port, tool_context


def caldav(url: str, *, key: str, password: str = PASSWORD, **settings: Any) -> ToolContext[CalendarSettings]:
    given = {"base_url": url, "username": "acme", "password": "secret://password", "timeout": 5.0} | settings
    return tool_context(CalendarSettings.model_validate(given), key=key, password=password)


def training(**changes: Any) -> NewEvent:
    given = {
        "summary": "Security",
        "start": "2026-11-30T09:30:00",
        "durationMinutes": 90,
        "timeZone": "Europe/Berlin",
        "attendees": ["ada@acme.example"],
    }
    return NewEvent.model_validate(given | changes)


async def stored(href: str) -> Any:
    async with httpx2.AsyncClient(auth=("acme", PASSWORD)) as http:
        response = await http.get(href)
    response.raise_for_status()
    return Calendar.from_ical(response.content)


async def test_schedules_an_event_in_a_collection_it_makes(caldav_url: str) -> None:
    arguments = training(
        summary="Schulung; «Sicherheit», Teil 1\nund 2 — 你好 " + "lang " * 30,
        description="Zeile 1\r\nZeile 2; mit, Zeichen \\",
        location="Raum 3, Köln",
        attendees=["ada@acme.example", "zoë@acme.example"],
    )
    context = caldav(caldav_url, key="first", calendar="brand-new/", organizer="people@acme.example")
    scheduled = await schedule.function(arguments, context)
    assert scheduled.uid == event_uid("acme", "first")
    assert scheduled.href == f"{caldav_url}brand-new/{scheduled.uid}.ics"
    calendar = await stored(scheduled.href)
    [event] = calendar.events
    assert event["SUMMARY"] == arguments.summary
    assert event["DESCRIPTION"] == "Zeile 1\nZeile 2; mit, Zeichen \\"
    assert event["LOCATION"] == "Raum 3, Köln"
    assert [str(attendee) for attendee in event["ATTENDEE"]] == ["mailto:ada@acme.example", "mailto:zoë@acme.example"]
    assert event["ORGANIZER"] == "mailto:people@acme.example"
    assert event["DTSTART"].params["TZID"] == "Europe/Berlin"
    assert event.start.astimezone(UTC) == datetime(2026, 11, 30, 8, 30, tzinfo=UTC)
    assert event.duration == timedelta(minutes=90)
    assert event["DTSTAMP"].dt == datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
    assert [zone.tz_name for zone in calendar.timezones] == ["Europe/Berlin"]


async def test_the_same_key_is_the_same_event(caldav_url: str) -> None:
    first = await schedule.function(training(), caldav(caldav_url, key="same"))
    assert await schedule.function(training(summary="Later"), caldav(caldav_url, key="same")) == first
    [event] = (await stored(first.href)).events
    assert event["SUMMARY"] == "Security"
    assert (await schedule.function(training(), caldav(caldav_url, key="other"))).uid != first.uid


async def test_many_at_once_make_one_collection_and_an_event_each(caldav_url: str) -> None:
    contexts = [caldav(caldav_url, key=f"many-{number // 2}", calendar="at-once/") for number in range(12)]
    scheduled = await asyncio.gather(*(schedule.function(training(), context) for context in contexts))
    assert len({event.uid for event in scheduled}) == 6
    for event in scheduled:
        assert len((await stored(event.href)).events) == 1


async def test_reconciles_by_the_address(caldav_url: str) -> None:
    assert schedule.reconciler is not None
    context = caldav(caldav_url, key="interrupted")
    assert await schedule.reconciler(training(), context) is None
    assert await schedule.reconciler(training(), caldav(caldav_url, key="x", calendar="never-made/")) is None
    scheduled = await schedule.function(training(), context)
    assert await schedule.reconciler(training(), context) == scheduled
    await cancel.function(EventRef(uid=scheduled.uid), context)
    assert await schedule.reconciler(training(), context) is None


@pytest.mark.parametrize(
    "answer", [Answer(401), Answer(403), Answer(429), Answer(500), Answer(drop=True), Answer(body=b"BEGIN:VCALENDAR")]
)
async def test_what_keeps_from_asking_never_says_that_there_is_no_effect(answer: Answer) -> None:
    assert schedule.reconciler is not None
    async with scripted_http(answer) as server:
        with pytest.raises(Unavailable) as caught:
            await schedule.reconciler(training(), caldav(server.url, key="k"))
    assert caught.value.effect_possible is True
    with pytest.raises(Unavailable) as caught:
        await schedule.reconciler(training(), caldav(f"http://127.0.0.1:{closed_port()}", key="k"))
    assert caught.value.effect_possible is True


async def test_cancels_however_often(caldav_url: str) -> None:
    context = caldav(caldav_url, key="cancelled")
    scheduled = await schedule.function(training(), context)
    for _ in range(2):
        assert (await cancel.function(EventRef(uid=scheduled.uid), context)).uid == scheduled.uid
    with pytest.raises(httpx2.HTTPStatusError):
        await stored(scheduled.href)
    await cancel.function(EventRef(uid="never-there"), context)


def invited(attendee: str, since: str) -> EventsQuery:
    return EventsQuery.model_validate({"attendee": attendee, "from": since})


async def test_finds_what_is_ahead_of_one_person(caldav_url: str) -> None:
    def context(key: str) -> ToolContext[CalendarSettings]:
        return caldav(caldav_url, key=key, calendar="find/")

    async def found(attendee: str, since: str) -> list[FoundEvent]:
        return (await find.function(invited(attendee, since), context("find"))).events

    assert await found("grace@acme.example", "2026-11-24T09:00:00Z") == []  # there is no calendar yet
    wanted = {
        "late": training(start="2026-12-02T14:00:00", attendees=["eve@acme.example", "Grace@acme.example"]),
        "new-york": training(timeZone="America/New_York", attendees=["grace@acme.example"], location="Räum; 3"),
        "utc": training(start="2026-12-01T08:00:00", timeZone="UTC", attendees=["grace@acme.example"]),
    }
    uids = {key: (await schedule.function(event, context(key))).uid for key, event in wanted.items()}
    others = {
        "under-way": training(start="2026-11-30T12:59:00", attendees=["grace@acme.example"]),  # 11:59 UTC
        "somebody-else": training(start="2026-12-01T09:30:00", attendees=["ada@acme.example"]),
        "longer": training(start="2026-12-01T09:30:00", attendees=["grace@acme.example.org", "not-grace@acme.example"]),
    }
    for key, event in others.items():
        await schedule.function(event, context(key))

    events = await found("grace@acme.example", "2026-11-30T13:00:00+01:00")
    assert [event.uid for event in events] == [uids["new-york"], uids["utc"], uids["late"]]
    # What was found is what schedule takes: the very event can be made again.
    again = [NewEvent.model_validate(event.model_dump(exclude={"uid"})) for event in events]
    assert again == [wanted["new-york"], wanted["utc"], wanted["late"]]
    for uid in uids.values():
        await cancel.function(EventRef(uid=uid), context("find"))
    assert await found("grace@acme.example", "2026-11-30T13:00:00+01:00") == []
    assert len(await found("ada@acme.example", "2026-11-24T09:00:00Z")) == 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("series.ics", ("UID:series", "DTSTART:20261201T080000Z", "RRULE:FREQ=DAILY;COUNT=2")),
        ("day.ics", ("UID:day", "DTSTART;VALUE=DATE:20261201")),
        ("floating.ics", ("UID:floating", "DTSTART:20261201T080000")),
        ("elsewhere.ics", ("UID:other", "DTSTART:20261201T080000Z")),
    ],
)
async def test_finds_nothing_that_cancel_could_not_take_out(caldav_url: str, name: str, lines: tuple[str, ...]) -> None:
    context = caldav(caldav_url, key=f"made-{name}", calendar="foreign/")
    mine = await schedule.function(training(attendees=["ada@acme.example"]), context)
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", "DTSTAMP:20261124T090000Z")
    foot = ("ATTENDEE:mailto:ada@acme.example", "END:VEVENT", "END:VCALENDAR", "")
    async with httpx2.AsyncClient(auth=("acme", PASSWORD)) as http:
        body = "\r\n".join((*head, *lines, *foot))
        put = await http.put(f"{caldav_url}foreign/{name}", content=body, headers={"Content-Type": "text/calendar"})
    assert put.is_success, put.text
    events = (await find.function(invited("ada@acme.example", "2026-11-24T09:00:00Z"), context)).events
    assert mine.uid in [event.uid for event in events]
    assert {event.uid for event in events}.isdisjoint(line.removeprefix("UID:") for line in lines)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [(Answer(403), NotPermitted), (Answer(500), Unavailable), (Answer(207, body=b"<a"), Failed), (Answer(200), Failed)],
)
async def test_what_keeps_from_finding_is_an_error(answer: Answer, kind: type[ToolError]) -> None:
    async with scripted_http(answer) as server:
        with pytest.raises(ToolError) as caught:
            await find.function(invited("ada@acme.example", "2026-11-24T09:00:00Z"), caldav(server.url, key="k"))
    assert type(caught.value) is kind


async def test_a_wrong_password_is_not_permitted(caldav_url: str) -> None:
    for call in (
        schedule.function(training(), caldav(caldav_url, key="k", password="wr0ng")),
        cancel.function(EventRef(uid="x"), caldav(caldav_url, key="k", password="wr0ng")),
    ):
        with pytest.raises(NotPermitted) as caught:
            await call
        assert "wr0ng" not in caught.value.message


@pytest.mark.parametrize(
    ("zone", "start", "instant"),
    [
        ("Europe/Berlin", "2027-03-28T01:30:00", "2027-03-28T00:30"),  # before the clocks go forward
        ("Europe/Berlin", "2027-03-28T03:30:00", "2027-03-28T01:30"),  # after, within the hour that icalendar misdates
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30"),  # occurs twice: the first
        ("Europe/Berlin", "2026-10-25T03:30:00", "2026-10-25T02:30"),
        ("America/New_York", "2027-03-14T03:15:00", "2027-03-14T07:15"),
        ("Asia/Kolkata", "2026-11-30T09:30:00", "2026-11-30T04:00"),
        ("Australia/Lord_Howe", "2026-10-04T03:00:00", "2026-10-03T16:00"),  # a half-hour change
        ("America/St_Johns", "2026-11-30T09:30:00", "2026-11-30T13:00"),
        ("UTC", "2026-11-30T09:30:00", "2026-11-30T09:30"),
    ],
)
async def test_the_local_time_holds(caldav_url: str, zone: str, start: str, instant: str) -> None:
    context = caldav(caldav_url, key=f"{zone} {start}")
    scheduled = await schedule.function(training(timeZone=zone, start=start), context)
    [event] = (await stored(scheduled.href)).events
    assert event.start.astimezone(UTC) == datetime.fromisoformat(f"{instant}:00+00:00")


async def test_the_duration_is_exact_across_a_change_of_the_clocks(caldav_url: str) -> None:
    arguments = training(start="2026-10-25T01:00:00", durationMinutes=180)
    scheduled = await schedule.function(arguments, caldav(caldav_url, key="across"))
    [event] = (await stored(scheduled.href)).events
    assert event["DURATION"].dt == timedelta(hours=3)
    assert "DTEND" not in event


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timeZone": "Europe/Berlin", "start": "2027-03-28T02:30:00"}, "does not exist"),
        ({"timeZone": "Mars/Olympus"}, "no IANA time zone"),
        ({"timeZone": "../../etc/passwd"}, "no IANA time zone"),
        ({"timeZone": ""}, "no IANA time zone"),
        ({"timeZone": "Europe"}, "no IANA time zone"),
    ],
)
async def test_a_time_that_is_none_is_refused(changes: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        await schedule.function(training(**changes), caldav("http://127.0.0.1:1", key="k"))


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "2026-11-30T09:30:00Z"},
        {"start": "2026-11-30T09:30:00+01:00"},
        {"durationMinutes": 0},
        {"attendees": ["ada@acme.example\nATTENDEE:mailto:eve@evil.example"]},
        {"summary": ""},
    ],
)
def test_arguments_that_are_none_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        training(**changes)


@pytest.mark.parametrize("uid", ["", "..", "../other/x", "a/b", "a?b", "a b", ".hidden"])
def test_a_uid_cannot_leave_the_calendar(uid: str) -> None:
    with pytest.raises(ValidationError):
        EventRef(uid=uid)


@pytest.mark.parametrize(
    ("answers", "kind", "effect_possible"),
    [
        ([Answer(400)], InvalidArgument, False),
        ([Answer(403)], NotPermitted, False),
        ([Answer(429)], RateLimited, False),
        ([Answer(500)], Unavailable, True),
        ([Answer(507)], Unavailable, True),
        ([Answer(drop=True)], Unavailable, True),
        ([Answer(409), Answer(403)], NotPermitted, False),  # the collection may not be made
        ([Answer(404), Answer(201), Answer(404)], NotFound, False),
        ([Answer(409), Answer(405), Answer(409)], Conflict, False),
        ([Answer(412), Answer(404)], Conflict, False),
        ([Answer(412), Answer(body=b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n")], Conflict, False),
    ],
)
async def test_what_a_refusal_means(answers: list[Answer], kind: type[ToolError], effect_possible: bool) -> None:
    async with scripted_http(*answers) as server:
        with pytest.raises(ToolError) as caught:
            await schedule.function(training(), caldav(server.url, key="k"))
    assert type(caught.value) is kind
    assert caught.value.effect_possible is effect_possible


async def test_a_refused_connection_has_no_effect() -> None:
    with pytest.raises(Unavailable) as caught:
        await schedule.function(training(), caldav(f"http://127.0.0.1:{closed_port()}", key="k"))
    assert caught.value.effect_possible is False


def test_the_schema_takes_a_local_time() -> None:
    """JSON Schema's date-time demands an offset, so that a checker would refuse every start."""
    assert "format" not in schedule.spec.input_schema["properties"]["start"]
