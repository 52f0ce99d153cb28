"""Which times a procedure may be started at, and what is said of the others."""

from __future__ import annotations

import pytest

from factotum.procedures.model import Schedule
from factotum.procedures.timing import cron_expressions, faults


def found(**schedule: object) -> list[str]:
    return [str(fault) for fault in faults(Schedule.model_validate(schedule))]


@pytest.mark.parametrize(
    "cron",
    [
        "0 0 * * *",
        "*/5 * * * *",
        "0 6 * * MON-FRI",
        "0 6 * jan,mar sun",
        "5/10 0-4 1,15 * 7",
        " 00  05 * * * ",
        "0 0 29 2 *",
    ],
)
def test_a_cron_expression_of_five_fields(cron: str) -> None:
    assert found(cron=cron) == []


@pytest.mark.parametrize(
    ("cron", "reason"),
    [
        ("60 0 * * *", "bad minute"),
        ("0 22-2 * * *", "bad hour"),
        ("*/0 * * * *", "bad minute"),
        ("0 0 * * fri-mon", "bad day-of-week"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("@daily", "has 1 fields"),
        ("0 0 * * * *", "has 6 fields"),
        ("0 0 L * *", "`L` is no field"),
        ("0 0 15W * *", "`15W` is no field"),
        ("0 0 * * 1#2", "`1#2` is no field"),
        ("0, 0 * * *", "`0,` is no field"),
        ("a b c d e", "`a` is no field"),
        ("", "has 0 fields"),
    ],
)
def test_others_are_refused_with_the_way_to_mend_them(cron: str, reason: str) -> None:
    (fault,) = found(cron=cron)
    assert fault.startswith("/schedule/cron: ") and reason in fault and "`0 6 * * MON-FRI`" in fault


def test_either_day_will_do() -> None:
    assert cron_expressions("0 6 13 * fri") == ["0 6 13 * *", "0 6 * * FRI"]
    assert cron_expressions("0 6 * * fri") == ["0 6 * * FRI"]
    assert cron_expressions("0 6 */2 * fri") == ["0 6 */2 * FRI"]


@pytest.mark.parametrize("name", ["every", "after"])
def test_lapses_are_whole_seconds(name: str) -> None:
    assert found(**{name: {"seconds": 1}}) == found(**{name: "P1DT2H"}) == []
    for lapse in ({"milliseconds": 500}, {"seconds": 0}, {"seconds": 1.5}):
        (fault,) = found(**{name: lapse})
        assert "no whole number of seconds" in fault
    (fault,) = found(**{name: "${ .x }"})
    assert "nothing is known yet" in fault


def test_a_month_is_a_pause_but_no_interval() -> None:
    assert found(after="P1M") == []
    assert "no fixed length" in found(every="P1M")[0]
