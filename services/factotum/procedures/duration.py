"""Durations of the DSL: ISO 8601 text, `{days, hours, minutes, seconds, milliseconds}`, or an expression."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, model_validator
from pydantic_core import PydanticCustomError

_AMOUNT = r"(\d+(?:[.,]\d+)?)"
_ISO = re.compile(
    rf"P(?!$)(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:{_AMOUNT.replace('(', '(?P<weeks>', 1)}W)?"
    rf"(?:{_AMOUNT.replace('(', '(?P<days>', 1)}D)?"
    rf"(?:T(?!$)(?:{_AMOUNT.replace('(', '(?P<hours>', 1)}H)?(?:{_AMOUNT.replace('(', '(?P<minutes>', 1)}M)?"
    rf"(?:{_AMOUNT.replace('(', '(?P<seconds>', 1)}S)?)?"
)
_SECONDS = {"weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
_Count = Annotated[float, Field(ge=0, le=1e12)]


class Duration(BaseModel):
    """A length of time, never negative. Years and months, which only ISO 8601 text has, are of the calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    years: Annotated[int, Field(ge=0, le=1000)] = 0
    months: Annotated[int, Field(ge=0, le=12000)] = 0
    days: _Count = 0
    hours: _Count = 0
    minutes: _Count = 0
    seconds: _Count = 0
    milliseconds: _Count = 0

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _parts(value)
        if isinstance(value, Duration):
            return value
        if isinstance(value, Mapping) and value and not value.keys() & {"years", "months"}:
            return value
        raise PydanticCustomError("duration", "must be ISO 8601 text such as PT15M, or {minutes: 15}")

    @property
    def total_seconds(self) -> float:
        """The seconds of the parts that have a fixed length: without years and months."""
        return self.days * 86400 + self.hours * 3600 + self.minutes * 60 + self.seconds + self.milliseconds / 1000

    def seconds_from(self, moment: datetime) -> float:
        """The seconds from a moment until this much later; a month later is the same day, or the month's last."""
        if not (self.years or self.months):
            return self.total_seconds
        month = moment.month - 1 + self.months
        year, month = moment.year + self.years + month // 12, month % 12 + 1
        day = min(moment.day, calendar.monthrange(year, month)[1])
        later = moment.replace(year=year, month=month, day=day) + timedelta(seconds=self.total_seconds)
        return (later - moment).total_seconds()


def _parts(text: str) -> dict[str, Any]:
    found = _ISO.fullmatch(text)
    if found is None:
        raise PydanticCustomError("duration", "{text} is not an ISO 8601 duration such as PT15M", {"text": repr(text)})
    amounts = {unit: amount.replace(",", ".") for unit, amount in found.groupdict().items() if amount is not None}
    whole: dict[str, Any] = {unit: int(amounts[unit]) for unit in ("years", "months") if unit in amounts}
    seconds = sum(float(amount) * _SECONDS[unit] for unit, amount in amounts.items() if unit in _SECONDS)
    return {**whole, "seconds": seconds}


def iso_seconds(text: str) -> float:
    """The seconds of an ISO 8601 duration without years and months, e.g. 5400.0 for `PT1H30M`.

    Raises a pydantic error.
    """
    return Duration.model_validate(text).total_seconds


def _lapse(value: Any) -> Duration | str:
    if isinstance(value, str) and value.strip().startswith("${"):
        return value
    return Duration.model_validate(value)


def _written(duration: Duration) -> Any:
    """As a mapping, which has no years and months; with those, or of no length, as text."""
    if duration.years or duration.months:
        return f"P{duration.years}Y{duration.months}MT{duration.total_seconds:f}S"
    return duration.model_dump(exclude_defaults=True) or "PT0S"


# A duration, or the text of an expression that gives one when it is needed.
Lapse = Annotated[
    Duration | str,
    PlainValidator(_lapse),
    PlainSerializer(lambda value: value if isinstance(value, str) else _written(value)),
]
