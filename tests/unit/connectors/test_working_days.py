"""calendar.working_days is pure: any date, any count."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factotum.connectors.calendar import CalendarSettings, WorkingDays, WorkingDaysQuery, working_days
from factotum.sdk.errors import InvalidArgument
from tests.support.tool_calls import tool_context

CONTEXT = tool_context(CalendarSettings(base_url="http://nowhere.example", username="u", password="secret://p"))


async def _ask(query: WorkingDaysQuery) -> WorkingDays:
    return await working_days.function(query, CONTEXT)


def days_from(start: date, count: int) -> list[date]:
    query = WorkingDaysQuery.model_validate({"from": start, "count": count})
    return asyncio.run(_ask(query)).days


@given(start=st.dates(max_value=date(9998, 1, 1)), count=st.integers(1, 366))
def test_every_working_day_from_the_start_and_no_other(start: date, count: int) -> None:
    days = days_from(start, count)
    assert len(days) == count
    span = [start + timedelta(n) for n in range((days[-1] - start).days + 1)]
    assert days == [day for day in span if day.isoweekday() <= 5]


@given(start=st.dates(max_value=date(9998, 1, 1)))
def test_three_days_are_within_five(start: date) -> None:
    assert days_from(start, 3)[-1] - start <= timedelta(days=4)


def test_a_friday_and_a_saturday() -> None:
    assert days_from(date(2026, 11, 27), 3) == [date(2026, 11, 27), date(2026, 11, 30), date(2026, 12, 1)]
    assert days_from(date(2026, 11, 28), 1) == [date(2026, 11, 30)]


def test_the_end_of_time_is_refused() -> None:
    with pytest.raises(InvalidArgument):
        days_from(date(9999, 12, 30), 5)


@pytest.mark.parametrize("query", [{"from": "2026-11-27", "count": 0}, {"from": "soon", "count": 1}, {"count": 1}])
def test_a_query_that_is_none_is_refused(query: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WorkingDaysQuery.model_validate(query)


def test_the_schema_calls_it_from() -> None:
    assert set(working_days.spec.input_schema["properties"]) == {"from", "count"}
