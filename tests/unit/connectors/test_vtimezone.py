"""The VTIMEZONE is the zone: its observances, read as RFC 5545 has them, give zoneinfo's offset at any instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.connectors.vtimezone import vtimezone

FIRST, LAST = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Pacific/Chatham",
    "Europe/Dublin",
]


@given(zone=st.sampled_from(ZONES), seconds=st.integers(0, int((LAST - FIRST).total_seconds()) - 1))
def test_gives_the_offset_of_every_instant(zone: str, seconds: int) -> None:
    instant = FIRST + timedelta(seconds=seconds)
    assert offset_at(zone, instant) == instant.astimezone(ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize("onset", [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
def test_changes_at_the_very_second(onset: datetime) -> None:
    before = onset - timedelta(seconds=1)
    assert offset_at("Europe/Berlin", before) != offset_at("Europe/Berlin", onset)


def offset_at(zone: str, instant: datetime) -> timedelta:
    """RFC 5545 §3.6.5: the observance with the latest onset; an onset is local time by TZOFFSETFROM."""
    component = vtimezone(ZoneInfo(zone), first=FIRST, last=LAST)
    onsets: dict[datetime, timedelta] = {
        (part.DTSTART - part.TZOFFSETFROM).replace(tzinfo=UTC): part.TZOFFSETTO for part in component.subcomponents
    }
    return onsets[max(onset for onset in onsets if onset <= instant)]
