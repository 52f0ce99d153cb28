"""Events in a CalDAV calendar (RFC 4791, RFC 5545).

An event's UID, and by it the address it is stored under, is derived from tenant and idempotency key:
the server refuses a second one (`If-None-Match: *`) and can be asked for the first.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx2
from icalendar import Calendar, Event, vCalAddress
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, WithJsonSchema

from factotum.connectors import caldav_query
from factotum.connectors.vtimezone import vtimezone
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict, Failed, InvalidArgument, ToolError
from factotum.sdk.http import HTTP_ERRORS, asking, client, reaching, refusal
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

_SYSTEM = "the calendar"
_SATURDAY = 5

Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9_@-][A-Za-z0-9._@-]*$", max_length=200)]
Attendee = Annotated[str, Field(pattern=r"^[^\s@<>\",;:]+@[^\s@<>\",;:]+$", max_length=254)]
# JSON Schema's format date-time demands an offset, which a local time has not.
LocalDateTime = Annotated[
    NaiveDatetime, WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2})?$"})
]


class CalendarSettings(BaseModel):
    """`base_url` is the principal's home, `calendar` the collection in it; it is made if it is missing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    username: str
    password: str = Field(description="Reference of the secret, e.g. secret://calendar-password.")
    calendar: str = Field(default="training/", pattern=r"^([A-Za-z0-9_-]+/)+$")
    organizer: Attendee | None = Field(default=None, description="Who invites; servers send no invitation without.")
    timeout: float = Field(default=15.0, gt=0, description="Seconds.")


class NewEvent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: str = Field(min_length=1, max_length=500)
    description: str | None = None
    start: LocalDateTime = Field(description="Local date-time, without an offset.", examples=["2026-11-30T09:30:00"])
    durationMinutes: int = Field(ge=1, le=7 * 24 * 60)
    timeZone: str = Field(description="IANA name.", examples=["Europe/Berlin"])
    attendees: list[Attendee] = Field(default_factory=list)
    location: str | None = None


class Scheduled(BaseModel):
    uid: str
    href: str = Field(description="The event's address on the server.")


class EventRef(BaseModel):
    model_config = ConfigDict(extra="forbid")

    uid: Uid


class Cancelled(BaseModel):
    uid: str


class EventsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    attendee: Attendee
    since: AwareDatetime = Field(alias="from", description="Events that begin then or later.")


class FoundEvent(BaseModel):
    """What `schedule` takes to make the event again, and its UID."""

    uid: str
    summary: str
    description: str | None = None
    start: LocalDateTime
    durationMinutes: int
    timeZone: str
    attendees: list[str]
    location: str | None = None


class FoundEvents(BaseModel):
    events: list[FoundEvent] = Field(description="By start.")


class WorkingDaysQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    start: date = Field(alias="from")
    count: int = Field(ge=1, le=366)


class WorkingDays(BaseModel):
    days: list[date]


connector = Connector("calendar", settings=CalendarSettings)


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.RECONCILE,
    compensation=Compensation(call="calendar.cancel", arguments={"uid": "${ .uid }"}),
    errors=HTTP_ERRORS,
    examples=[
        Example(
            title="A training",
            arguments={
                "summary": "Security",
                "start": "2026-11-30T09:30:00",
                "durationMinutes": 90,
                "timeZone": "Europe/Berlin",
                "attendees": ["ada@acme.example"],
            },
        )
    ],
)
async def schedule(arguments: NewEvent, context: ToolContext[CalendarSettings]) -> Scheduled:
    """Put an event into the calendar, at a local time of a time zone."""
    uid = event_uid(context.tenant, context.idempotency_key)
    href, body = _href(uid, context.settings), _document(arguments, uid, context)
    with reaching(_SYSTEM):
        async with _client(context) as http:
            response = await _put_new(http, href, body)
            if response.status_code in (404, 409):
                # The collection is missing: RFC 4791 §5.3.2 gives 409, some servers 404.
                await _make_collection(http, context)
                response = await _put_new(http, href, body)
            if response.status_code == 412:
                found = await _existing(http, href, uid, context)
                if found is not None:
                    return found
    if not response.is_success:
        raise _refusal(response, context)
    return Scheduled(uid=uid, href=href)


@schedule.reconcile
async def find_scheduled(arguments: NewEvent, context: ToolContext[CalendarSettings]) -> Scheduled | None:
    """The event under the address that the key stands for, None if there is none."""
    uid = event_uid(context.tenant, context.idempotency_key)
    with asking(_SYSTEM), reaching(_SYSTEM):
        async with _client(context) as http:
            return await _existing(http, _href(uid, context.settings), uid, context)


@connector.tool(
    effect=Effect.DELETE,
    idempotency=Idempotency.NATIVE,
    errors=HTTP_ERRORS,
    examples=[Example(title="An event", arguments={"uid": "5f2c0d9e"})],
)
async def cancel(arguments: EventRef, context: ToolContext[CalendarSettings]) -> Cancelled:
    """Take an event out of the calendar; one that is gone already is no error."""
    with reaching(_SYSTEM):
        async with _client(context) as http:
            response = await http.delete(_href(arguments.uid, context.settings))
    if not response.is_success and response.status_code not in (404, 410):
        raise _refusal(response, context)
    return Cancelled(uid=arguments.uid)


@connector.tool(
    effect=Effect.NONE,
    errors=HTTP_ERRORS,
    examples=[
        Example(title="What is ahead", arguments={"attendee": "ada@acme.example", "from": "2026-11-30T00:00:00Z"})
    ],
)
async def find(arguments: EventsQuery, context: ToolContext[CalendarSettings]) -> FoundEvents:
    """List the events to which somebody is invited and that begin at a moment or later.

    Only such as `schedule` makes and `cancel` takes out: series, whole days and times without a zone are
    left out, and so is what another program stored under an address that is not made of its UID.
    """
    with reaching(_SYSTEM):
        async with _client(context) as http:
            response = await http.request(
                "REPORT",
                context.settings.calendar,
                content=caldav_query.question(arguments.attendee, arguments.since),
                headers={"Depth": "1", "Content-Type": "application/xml; charset=utf-8"},
            )
    if response.status_code in (404, 410):  # no calendar yet, so no event
        return FoundEvents(events=[])
    if not response.is_success:
        raise _refusal(response, context)
    try:
        stored = list(caldav_query.stored(response.content))
    except caldav_query.Unreadable as error:
        raise Failed(f"{_SYSTEM} sent an answer that cannot be read: {error}") from error
    ahead = [(one.event.decoded("DTSTART"), _found(one.event)) for one in stored if _meant(one, arguments)]
    return FoundEvents(events=[found for _, found in sorted(ahead, key=lambda pair: (pair[0], pair[1].uid))])


@connector.tool(
    effect=Effect.NONE,
    errors=[InvalidArgument],
    examples=[
        Example(
            title="Over a week-end",
            arguments={"from": "2026-11-27", "count": 2},
            output={"days": ["2026-11-27", "2026-11-30"]},
        )
    ],
)
async def working_days(arguments: WorkingDaysQuery, context: ToolContext[CalendarSettings]) -> WorkingDays:
    """List the next working days from a date on, itself included, Saturdays and Sundays left out."""
    days: list[date] = []
    day = arguments.start
    try:
        while len(days) < arguments.count:
            if day.weekday() < _SATURDAY:
                days.append(day)
            day += timedelta(days=1)
    except OverflowError as error:
        raise InvalidArgument("the calendar ends with the year 9999") from error
    return WorkingDays(days=days)


def _meant(stored: caldav_query.Stored, arguments: EventsQuery) -> bool:
    event = stored.event
    start = event.decoded("DTSTART", None)
    if not isinstance(start, datetime) or start.tzinfo is None or start < arguments.since:
        return False
    if stored.name != f"{event.get('UID')}.ics" or any(name in event for name in ("RRULE", "RDATE", "RECURRENCE-ID")):
        return False
    wanted = arguments.attendee.casefold()
    return any(address.casefold() == wanted for address in caldav_query.attendees(event))


def _found(event: Event) -> FoundEvent:
    text = {name: str(event[name]) for name in ("SUMMARY", "DESCRIPTION", "LOCATION") if name in event}
    return FoundEvent(
        uid=str(event["UID"]),
        summary=text.get("SUMMARY", ""),
        description=text.get("DESCRIPTION"),
        start=event.decoded("DTSTART").replace(tzinfo=None),
        durationMinutes=max(1, int(event.duration.total_seconds() // 60)),
        timeZone=event["DTSTART"].params.get("TZID", "UTC"),
        attendees=caldav_query.attendees(event),
        location=text.get("LOCATION"),
    )


def event_uid(tenant: str, idempotency_key: str) -> str:
    """The UID of the event that a tenant's key stands for; safe in a URL as it is."""
    return hashlib.sha256(f"{tenant}\n{idempotency_key}".encode()).hexdigest()[:40]


def _document(arguments: NewEvent, uid: str, context: ToolContext[CalendarSettings]) -> bytes:
    zone = _zone(arguments.timeZone)
    start = _local(arguments.start, zone)
    event = Event.new(
        uid=uid,
        stamp=context.now().astimezone(UTC),
        start=start,
        summary=arguments.summary,
        description=arguments.description,
        location=arguments.location,
        organizer=vCalAddress(f"mailto:{context.settings.organizer}") if context.settings.organizer else None,
        attendees=[vCalAddress(f"mailto:{address}") for address in arguments.attendees],
    )
    # A duration, not an end: it stays exact where the clocks change during the event.
    event.add("duration", timedelta(minutes=arguments.durationMinutes))
    calendar = Calendar()
    calendar.add("prodid", "-//Factotum//Factotum//EN")
    calendar.add("version", "2.0")
    if zone.key != "UTC":  # written with a Z, which needs no definition
        year = start.year
        calendar.add_component(
            vtimezone(zone, first=datetime(year - 1, 1, 1, tzinfo=UTC), last=datetime(year + 2, 1, 1, tzinfo=UTC))
        )
    calendar.add_component(event)
    document: bytes = calendar.to_ical()
    return document


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidArgument(f"{name!r} is no IANA time zone") from error


def _local(start: datetime, zone: ZoneInfo) -> datetime:
    """The start in its zone. A time that occurs twice means the first (RFC 5545 §3.3.5), a skipped one nothing."""
    local = start.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != start:
        raise InvalidArgument(f"{start.isoformat()} does not exist in {zone.key}: the clocks skip it that day")
    return local


def _client(context: ToolContext[CalendarSettings]) -> httpx2.AsyncClient:
    settings = context.settings
    auth = (settings.username, context.secret(settings.password))
    return client(settings.base_url, timeout=settings.timeout, auth=auth)


def _href(uid: str, settings: CalendarSettings) -> str:
    return f"{settings.base_url.rstrip('/')}/{settings.calendar}{quote(uid, safe='@')}.ics"


async def _put_new(http: httpx2.AsyncClient, href: str, body: bytes) -> httpx2.Response:
    headers = {"Content-Type": "text/calendar; charset=utf-8", "If-None-Match": "*"}
    return await http.put(href, content=body, headers=headers)


async def _make_collection(http: httpx2.AsyncClient, context: ToolContext[CalendarSettings]) -> None:
    response = await http.request("MKCALENDAR", context.settings.calendar)
    # 405: it exists (RFC 4791 §5.3.1.1), made by another call in the meantime.
    if not response.is_success and response.status_code not in (405, 409):
        raise _refusal(response, context)


async def _existing(
    http: httpx2.AsyncClient, href: str, uid: str, context: ToolContext[CalendarSettings]
) -> Scheduled | None:
    response = await http.get(href)
    if response.status_code in (404, 410):
        return None
    if not response.is_success:
        raise _refusal(response, context)
    try:
        found = Calendar.from_ical(response.content).walk("VEVENT")
    except ValueError as error:
        raise Conflict(f"what {_SYSTEM} holds at {href} is no calendar") from error
    if not any(str(event.get("UID")) == uid for event in found):
        raise Conflict(f"{_SYSTEM} holds another event at {href}")
    return Scheduled(uid=uid, href=href)


def _refusal(response: httpx2.Response, context: ToolContext[CalendarSettings]) -> ToolError:
    words = response.text if response.headers.get("Content-Type", "").startswith("text/plain") else ""
    return refusal(_SYSTEM, response, words, now=context.now())
