"""Which events are meant, and how they are consumed. Source: DSL 1.0.3, "Event Consumption Strategy"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures.shapes import Closed

Json = Any


class Correlation(Closed):
    """A value of the event that must be the expected one, or else the same in all events that belong together."""

    from_: str = Field(alias="from")
    expect: str | None = None


class EventFilter(Closed):
    """Which events are meant: attribute by attribute, a constant, a regular expression or an expression."""

    with_: dict[str, Json] = Field(alias="with", min_length=1)
    correlate: dict[str, Correlation] = {}


class EventConsumption(Closed):
    """Exactly one of `one`, `any` and `all`; `any: []` is every event. `until` goes with `any` alone."""

    one: EventFilter | None = None
    any: tuple[EventFilter, ...] | None = None
    all: tuple[EventFilter, ...] | None = None
    until: str | EventConsumption | None = None

    @field_validator("until", mode="before")
    @classmethod
    def _expression_or_events(cls, value: object) -> object:
        if isinstance(value, Mapping):
            return cls.model_validate(value)
        if not isinstance(value, str | EventConsumption):
            raise PydanticCustomError("until", "must be an expression, or the events that end it")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> EventConsumption:
        if sum(found is not None for found in (self.one, self.any, self.all)) != 1:
            raise PydanticCustomError("consumption", "name exactly one of `one`, `any` and `all`")
        if self.until is not None and self.any is None:
            raise PydanticCustomError("consumption", "`until` goes with `any` alone")
        if isinstance(self.until, EventConsumption) and self.until.until is not None:
            raise PydanticCustomError("consumption", "the events of `until` have no `until` of their own")
        if self.all == ():
            raise PydanticCustomError("consumption", "`all` must name at least one event")
        return self

    @property
    def filters(self) -> tuple[EventFilter, ...]:
        """The filters of the events consumed, those of `until` left out."""
        return (self.one,) if self.one is not None else (self.any or self.all or ())
