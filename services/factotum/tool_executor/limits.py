"""How much a tenant may ask of a system, and when a system that does not answer is left alone. Pure.

All of it is of one executor: where several share the work, each has its own buckets, lines and breakers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from factotum.sdk.spec import RateLimit
from factotum.tool_executor.calls import Call


class TokenBucket:
    """So many calls at once, and as many again in the bucket's time (the token bucket of RFC 2697, of one rate)."""

    def __init__(self, limit: RateLimit, now: datetime) -> None:
        self.limit = limit
        self._tokens = float(limit.calls)
        self._at = now

    def take(self, now: datetime) -> float:
        """0 where a call may be made, which takes a token; else the seconds until one may, and takes none."""
        rate = self.limit.calls / self.limit.seconds
        # A clock that was set back gives nothing.
        gained = max((now - self._at).total_seconds(), 0.0) * rate
        self._tokens = min(self._tokens + gained, float(self.limit.calls))
        self._at = now
        # What was added up in floating point may lack the last digit of a whole token.
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / rate
        self._tokens -= 1
        return 0.0


class Position(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """Opens after so many calls in a row were not answered, within the window; tries again after the cool-down.
    With `failures` 0 it never opens."""

    failures: int
    window: timedelta
    cool_down: timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What the executor adds to a tool's own bounds.

    Attributes:
        line_seconds: how long a call waits for its turn where a tool takes so many at once.
    """

    line_seconds: float
    breaker: BreakerRules


class Breaker:
    """A circuit breaker: closed, calls pass; open, none does; half open, one does, and decides.

    Who was let through says what came of it with `answered` or `failed`, or, where no system was reached,
    with `left`.
    """

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures: deque[datetime] = deque(maxlen=max(rules.failures, 1))
        self._opened: datetime | None = None
        self._trying: object | None = None

    @property
    def position(self) -> Position:
        if self.closed:
            return Position.CLOSED
        return Position.OPEN if self._trying is None else Position.HALF_OPEN

    @property
    def closed(self) -> bool:
        return self._opened is None

    def enter(self, who: object, now: datetime) -> float:
        """0 where the call may be made, else the seconds until it is worth asking again."""
        if self._opened is None:
            return 0.0
        left = (self._opened + self._rules.cool_down - now).total_seconds()
        if left > 0:
            return left
        if self._trying is None:
            self._trying = who
        return 0.0 if self._trying is who else self._rules.cool_down.total_seconds()

    def left(self, who: object) -> None:
        """The next call is the one that tries, if this one was and found nothing out."""
        if self._trying is who:
            self._trying = None

    def answered(self, who: object) -> bool:
        """Whether that closed it. Of a call that was under way when it opened, an answer closes it too."""
        was_open = self._opened is not None
        self._failures.clear()
        self._opened = self._trying = None
        return was_open

    def failed(self, who: object, now: datetime) -> bool:
        """Whether that opened it, or opened it again."""
        if not self._rules.failures:
            return False
        if self._opened is not None:
            if self._trying is not who:
                return False
            self._opened, self._trying = now, None
            return True
        self._failures.append(now)
        full = len(self._failures) == self._rules.failures
        if full and now - self._failures[0] <= self._rules.window:
            self._opened = now
            return True
        return False


class Breakers:
    """One for each tenant and system. A tool that carries any request, which is one with a narrower, reaches more
    than one system: it has none."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._made: dict[tuple[str, str], Breaker] = {}

    def of(self, call: Call) -> Breaker | None:
        if call.tool.narrower is not None:
            return None
        which = (call.tenant, call.tool.spec.system)
        made = self._made.get(which)
        if made is None:
            made = self._made[which] = Breaker(self._rules)
        return made
