"""CalDAV's question for the events of a time (RFC 4791 §7.8), and what its answer holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from icalendar import Calendar, Event

_DAV, _CALDAV = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}"


class Unreadable(ValueError):
    """The answer is no multistatus with calendars in it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event and the last segment of the address it is stored under."""

    name: str
    event: Event


def question(attendee: str, since: datetime) -> bytes:
    """The body of a REPORT for the events that have an attendee and are not over at a moment.

    Servers compare text loosely and time by overlap: the answer may hold more than is meant.
    """
    query = ElementTree.Element(f"{_CALDAV}calendar-query")
    ElementTree.SubElement(ElementTree.SubElement(query, f"{_DAV}prop"), f"{_CALDAV}calendar-data")
    inner = ElementTree.SubElement(query, f"{_CALDAV}filter")
    for component in ("VCALENDAR", "VEVENT"):
        inner = ElementTree.SubElement(inner, f"{_CALDAV}comp-filter", name=component)
    ElementTree.SubElement(inner, f"{_CALDAV}time-range", start=since.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ"))
    property_ = ElementTree.SubElement(inner, f"{_CALDAV}prop-filter", name="ATTENDEE")
    ElementTree.SubElement(property_, f"{_CALDAV}text-match").text = attendee
    body: bytes = ElementTree.tostring(query, encoding="utf-8", xml_declaration=True)
    return body


def stored(answer: bytes) -> Iterator[Stored]:
    """The events of a multistatus answer, as they come. Raises `Unreadable`."""
    try:
        # Nothing external is loaded, and expat itself bounds what entities grow to.
        tree = ElementTree.fromstring(answer)  # noqa: S314
        if tree.tag != f"{_DAV}multistatus":
            raise Unreadable(f"<{tree.tag}> is no multistatus")
        for response in tree.iter(f"{_DAV}response"):
            name = unquote(urlsplit(response.findtext(f"{_DAV}href", "")).path.rpartition("/")[2])
            for data in response.iter(f"{_CALDAV}calendar-data"):
                for event in Calendar.from_ical(data.text or "").walk("VEVENT"):
                    if isinstance(event, Event):
                        yield Stored(name, event)
    except (ElementTree.ParseError, ValueError) as error:
        raise Unreadable(str(error)) from error


def attendees(event: Event) -> list[str]:
    """The mail addresses of those invited."""
    listed = event.get("ATTENDEE") or []
    addresses = [str(one) for one in (listed if isinstance(listed, list) else [listed])]
    return [address[len("mailto:") :] for address in addresses if address.lower().startswith("mailto:")]
