"""Durations of the DSL: ISO 8601 text or `{days, hours, minutes, seconds, milliseconds}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

# Years and months have no fixed length, so they are refused. Source: DSL 1.0.3, `duration`.
_ISO = re.compile(
    r"P(?!$)(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?!$)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"weeks": 604800.0, "days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0}
_Count = Annotated[float, Field(ge=0)]


class Duration(BaseModel):
    """A length of time, never negative."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: _Count = 0
    hours: _Count = 0
    minutes: _Count = 0
    seconds: _Count = 0
    milliseconds: _Count = 0

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"seconds": iso_seconds(value)}
        if isinstance(value, Mapping | Duration):
            return value
        raise PydanticCustomError("duration", "must be ISO 8601 text such as PT15M, or {minutes: 15}")

    @property
    def total_seconds(self) -> float:
        return self.days * 86400 + self.hours * 3600 + self.minutes * 60 + self.seconds + self.milliseconds / 1000


def iso_seconds(text: str) -> float:
    """The seconds of an ISO 8601 duration, e.g. 5400.0 for `PT1H30M`. Raises a pydantic error."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise PydanticCustomError("duration", "{text} is not an ISO 8601 duration such as PT15M", {"text": repr(text)})
    return sum(float(amount) * _SECONDS[unit] for unit, amount in found.groupdict().items() if amount is not None)
