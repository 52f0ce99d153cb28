from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from factotum.procedures.duration import Duration
from factotum.procedures.tasks import WaitTask


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("PT15M", 900), ("P1W", 604800), ("P1DT1H1.5S", 90001.5), ({"minutes": 2, "milliseconds": 500}, 120.5)],
)
def test_reads(given: object, seconds: float) -> None:
    assert Duration.model_validate(given).total_seconds == seconds


@pytest.mark.parametrize("given", ["", "P", "PT", "P1.5Y", "PT5M\n", "xPT5M", "PT5", "-PT5M"])
def test_a_text_that_is_none_is_quoted(given: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Duration.model_validate(given)
    assert refused.value.errors()[0]["msg"] == f"{given!r} is not an ISO 8601 duration such as PT15M"


@pytest.mark.parametrize("given", [5, None, {"minutes": -1}, {"years": 1}])
def test_what_is_neither_is_refused(given: object) -> None:
    with pytest.raises(ValidationError):
        Duration.model_validate(given)


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ("P1M", "2026-01-31T10:00:00", "2026-02-28T10:00:00"),
        ("P1Y", "2024-02-29T10:00:00", "2025-02-28T10:00:00"),
        ("P13MT1H", "2026-12-01T10:00:00", "2028-01-01T11:00:00"),
    ],
)
def test_years_and_months_are_of_the_calendar(given: str, start: str, end: str) -> None:
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    later = datetime.fromisoformat(end).replace(tzinfo=UTC)
    assert Duration.model_validate(given).seconds_from(begin) == (later - begin).total_seconds()


@pytest.mark.parametrize("given", ["P1M", "P1Y2MT3.5S", "PT0S", "P1W", {"milliseconds": 50}, "${ .delay }"])
def test_a_task_is_written_as_it_can_be_read(given: object) -> None:
    task = WaitTask.model_validate({"wait": given})
    assert WaitTask.model_validate(task.model_dump(mode="json")) == task
