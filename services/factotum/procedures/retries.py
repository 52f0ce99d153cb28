"""When a `try` is tried again. Source: DSL 1.0.3, "Retry"."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from factotum.procedures.duration import Duration, Lapse
from factotum.procedures.shapes import Closed

Json = Any


class Backoff(Closed):
    """At most one of the three; none: constant."""

    constant: dict[str, Json] | None = None
    linear: dict[str, Json] | None = None
    exponential: dict[str, Json] | None = None

    @model_validator(mode="after")
    def _one(self) -> Backoff:
        if sum(x is not None for x in (self.constant, self.linear, self.exponential)) > 1:
            raise PydanticCustomError("backoff", "name one of constant, linear and exponential")
        return self


class AttemptLimit(Closed):
    """`duration` bounds one attempt."""

    count: int | None = Field(default=None, ge=1)
    duration: Lapse | None = None


class RetryLimit(Closed):
    """`duration` bounds all attempts together, from the first error on."""

    attempt: AttemptLimit = AttemptLimit()
    duration: Lapse | None = None


class Jitter(Closed):
    """What is added to each delay: something between the two."""

    from_: Lapse = Field(alias="from")
    to: Lapse


class Retry(Closed):
    when: str | None = None
    except_when: str | None = Field(default=None, alias="exceptWhen")
    delay: Lapse = Duration(seconds=0)
    backoff: Backoff = Backoff()
    limit: RetryLimit = RetryLimit()
    jitter: Jitter | None = None
