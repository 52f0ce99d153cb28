"""A VTIMEZONE (RFC 5545 §3.6.5) for an IANA time zone, exact at its transitions.

`icalendar.Timezone.from_tzinfo` gives the onset of daylight saving time in the new offset; the RFC
wants the old one ("local time" is that of TZOFFSETFROM), an hour earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Timezone, TimezoneDaylight, TimezoneStandard

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=256)
def vtimezone(zone: ZoneInfo, *, first: datetime, last: datetime) -> Timezone:
    """The zone's observances between two instants (timezone-aware), each change with its onset.

    Takes some milliseconds the first time; the component is shared and must not be changed.
    """
    component = Timezone()
    component.add("tzid", zone.key)
    start = first.astimezone(UTC)
    component.add_component(_observance(zone, start, before=start.astimezone(zone)))
    for instant in _transitions(zone, start, last.astimezone(UTC)):
        component.add_component(_observance(zone, instant, before=(instant - _SECOND).astimezone(zone)))
    return component


def _observance(zone: ZoneInfo, instant: datetime, *, before: datetime) -> TimezoneDaylight | TimezoneStandard:
    after = instant.astimezone(zone)
    offset_from, offset_to = before.utcoffset() or timedelta(), after.utcoffset() or timedelta()
    component = TimezoneDaylight() if after.dst() else TimezoneStandard()
    component.add("dtstart", (instant + offset_from).replace(tzinfo=None))
    component.add("tzoffsetfrom", offset_from)
    component.add("tzoffsetto", offset_to)
    component.add("tzname", after.tzname() or zone.key)
    return component


def _transitions(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[datetime]:
    """The UTC instants at which the offset changes; no zone changes twice within a day."""
    day = start
    while day < end:
        if _offset(zone, day) != _offset(zone, day + _DAY):
            low, high = day, day + _DAY
            while high - low > _SECOND:
                middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
                if _offset(zone, middle) == _offset(zone, day):
                    low = middle
                else:
                    high = middle
            yield high
        day += _DAY


def _offset(zone: ZoneInfo, instant: datetime) -> timedelta | None:
    return instant.astimezone(zone).utcoffset()
