"""Times at which something has to happen, and nearly never does, by one timer of the event loop for all of them.

A call has a time limit, a deadline by which it can be ended and a lease to renew: with a timer for each, setting and
dropping them takes longer than the rest of a call's way through its wrappers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from types import TracebackType


class Alarm:
    """A call of `ring`, once, at `when` by the clock of the event loop. Told apart by identity."""

    __slots__ = ("ring", "when")

    def __init__(self, when: float, ring: Callable[[], None]) -> None:
        self.when = when
        self.ring = ring


class Alarms:
    """Those of one event loop."""

    def __init__(self) -> None:
        self._set: set[Alarm] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next = inf

    def set(self, when: float, ring: Callable[[], None]) -> Alarm:
        """Of a time that has passed, `ring` is called by the next turn of the loop."""
        alarm = Alarm(when, ring)
        self._set.add(alarm)
        if when < self._next:
            self._wake(when)
        return alarm

    def drop(self, alarm: Alarm) -> None:
        """Nothing is done about the timer: when it wakes it finds what is left."""
        self._set.discard(alarm)

    def _wake(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = when
        self._timer = asyncio.get_running_loop().call_at(when, self._woken, when)

    def _woken(self, when: float) -> None:
        self._timer, self._next = None, inf
        # The loop wakes within its clock's resolution, which may be a little early.
        now = max(when, asyncio.get_running_loop().time())
        due = [alarm for alarm in self._set if alarm.when <= now]
        self._set.difference_update(due)
        if self._set:
            self._wake(min(alarm.when for alarm in self._set))
        for alarm in due:
            alarm.ring()


class Deadline:
    """`with Deadline(alarms, when):` what `async with asyncio.timeout_at(when):` does: at that time the task is
    cancelled, and the block raises `TimeoutError` in place of that.

    Args:
        when: by the clock of the event loop; None: not until `reschedule` says so.
    """

    __slots__ = ("_alarm", "_alarms", "_cancelling", "_expired", "_task", "_when")

    def __init__(self, alarms: Alarms, when: float | None = None) -> None:
        self._alarms = alarms
        self._when = when
        self._alarm: Alarm | None = None
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._expired = False

    def __enter__(self) -> Deadline:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        if self._when is not None:
            self._alarm = self._alarms.set(self._when, self._ring)
        return self

    def reschedule(self, when: float) -> None:
        """Within the block, and once the time was up for nothing."""
        if self._alarm is not None:
            self._alarms.drop(self._alarm)
        if not self._expired:
            self._alarm = self._alarms.set(when, self._ring)

    def expired(self) -> bool:
        """Whether the time was up before the block ended."""
        return self._expired

    def _ring(self) -> None:
        assert self._task is not None
        self._alarm, self._expired = None, True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._alarm is not None:
            self._alarms.drop(self._alarm)
        if self._expired:
            assert self._task is not None
            # Somebody else's cancel goes on as one.
            if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
                raise TimeoutError from error
