"""When a procedure starts by the clock. Source: DSL 1.0.3, "Schedule"; cron as in POSIX crontab(5), in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from factotum.procedures.duration import Duration, Lapse
from factotum.procedures.fault import Fault
from factotum.procedures.model import Schedule

# The five fields that every cron understands alike. What goes beyond (`L`, `#`, `@daily`, seconds) each
# implementation reads in its own way: in Temporal's, all that follows a `#` is a comment.
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_FIELD = re.compile(rf"(?:(?:{_NAMES}|\d{{1,2}}|\*)(?:[-,/](?!$)|$))+", re.IGNORECASE)
_ADVICE = "Write five fields: minute, hour, day of month, month, day of week, e.g. `0 6 * * MON-FRI`; the time is UTC"
_SOME_MOMENT = datetime(2000, 1, 1, tzinfo=UTC)
SHORTEST_SECONDS = 1.0


def faults(schedule: Schedule) -> Iterator[Fault]:
    """What keeps `cron`, `every` or `after` from being kept to."""
    if schedule.cron is not None and (reason := _cron_fault(schedule.cron)) is not None:
        yield Fault("/schedule/cron", reason, _ADVICE)
    for name, lapse in (("every", schedule.every), ("after", schedule.after)):
        if lapse is not None:
            yield from _lapse_faults(name, lapse)


def cron_expressions(cron: str) -> list[str]:
    """One expression, or, where both a day of the month and a day of the week are named, one for each.

    Either day will do in crontab(5); Temporal takes one expression to mean days that are both.
    """
    minute, hour, day, month, weekday = cron.upper().split()
    if day.startswith("*") or weekday.startswith("*"):
        return [" ".join((minute, hour, day, month, weekday))]
    return [f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}"]


def _cron_fault(cron: str) -> str | None:
    fields = cron.split()
    if len(fields) != 5:
        return f"`{cron}` has {len(fields)} fields"
    for field in fields:
        if not _FIELD.fullmatch(field):
            return f"`{field}` is no field of a cron expression"
    try:
        CronSim(cron.upper(), _SOME_MOMENT)
    except CronSimError as error:
        return f"`{cron}`: {str(error)[:1].lower()}{str(error)[1:]}"
    return None


def _lapse_faults(name: str, lapse: Lapse) -> Iterator[Fault]:
    pointer = f"/schedule/{name}"
    if not isinstance(lapse, Duration):
        yield Fault(pointer, "nothing is known yet that an expression could be evaluated on", "Write a duration: PT15M")
        return
    calendar = bool(lapse.years or lapse.months)
    if calendar and name == "every":
        yield Fault(pointer, "months and years have no fixed length", "Use `cron`, or count in days")
    elif not calendar and (lapse.total_seconds < SHORTEST_SECONDS or lapse.total_seconds % 1):
        yield Fault(pointer, f"{lapse.total_seconds:g} seconds are no whole number of seconds from 1 on")
