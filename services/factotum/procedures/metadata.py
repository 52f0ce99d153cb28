"""What Factotum adds to the language, under a task's `metadata`: how it is undone, and who must agree."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures.duration import Lapse
from factotum.procedures.shapes import Closed

Json = Any


class Compensate(Closed):
    """The call that undoes a step; its arguments are evaluated on the step's output."""

    call: str
    with_: dict[str, Json] = Field(default={}, alias="with")


class Escalation(Closed):
    """Who is asked when nobody decided in time; `within` none: for as long as it takes."""

    by: tuple[str, ...] = Field(min_length=1)
    within: Lapse | None = None


class Approval(Closed):
    """A person decides before the call is made.

    `by`: who may, as names or `group:NAME`, which may be expressions on the step's input. `count`: how many of them must agree; one who refuses decides.
    `within`: until when; none: for as long as it takes. `otherwise`: what then, a refusal or other people.
    """

    by: tuple[str, ...] = Field(min_length=1)
    count: int = Field(default=1, ge=1)
    within: Lapse | None = None
    otherwise: Literal["deny"] | Escalation = "deny"

    @model_validator(mode="after")
    def _enough_people(self) -> Approval:
        if self.count > len(self.by) and not any(name.startswith("group:") for name in self.by):
            raise PydanticCustomError("approval", "`count` is more than the people named in `by`")
        return self
