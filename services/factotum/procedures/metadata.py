"""What Factotum adds to the language, under a task's `metadata`: how it is undone, and who must agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures.duration import Lapse
from factotum.procedures.shapes import Closed

Json = Any


class Compensate(Closed):
    """The call that undoes a step; its arguments are evaluated on the step's output."""

    call: str
    with_: dict[str, Json] = Field(default={}, alias="with")


class Escalation(Closed):
    """Who is asked when nobody decided in time. `count` none: as many must agree as were asked for before; `within`
    none: for as long as it takes."""

    by: tuple[str, ...] = Field(min_length=1)
    count: int | None = Field(default=None, ge=1)
    within: Lapse | None = None


def _otherwise(value: object) -> object:
    if isinstance(value, Mapping):
        return Escalation.model_validate(value)
    if value != "deny" and not isinstance(value, Escalation):
        raise PydanticCustomError("otherwise", "must be `deny`, or {by: […], within: …}")
    return value


class Approval(Closed):
    """A person decides before the call is made.

    `by`: who may, as names or `group:NAME`, which may be expressions on the step's input. `count`: how many of
    them must agree; one who refuses decides.
    `within`: until when; none: for as long as it takes. `otherwise`: what then, a refusal or other people.
    """

    by: tuple[str, ...] = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    within: Lapse | None = None
    otherwise: Annotated[Literal["deny"] | Escalation, BeforeValidator(_otherwise)] = "deny"

    @model_validator(mode="after")
    def _enough_people(self) -> Approval:
        stages = [(self.count, self.by)]
        if isinstance(self.otherwise, Escalation):
            stages.append((self.otherwise.count or self.count, self.otherwise.by))
        for count, people in stages:
            # A group, and an expression that may give one, is of nobody knows how many.
            if count > len(set(people)) and not any(name.startswith("group:") or "${" in name for name in people):
                raise PydanticCustomError("approval", "`count` is more than the people named in `by`")
        return self
