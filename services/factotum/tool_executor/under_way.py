"""The calls that are under way here, so that one can be asked to end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import TracebackType

from factotum.tool_executor.alarms import Deadline

# Seconds. Most calls take milliseconds: to interrupt one that would have ended by itself makes a doubt, and a
# question to the system, for nothing.
GRACE_SECONDS = 1.0


@dataclass(slots=True, eq=False)
class Interruption:
    """What a call that is under way looks at. `requested` stays true; `cuts` are the parts of the call that end
    by a deadline which the request sets."""

    requested: bool = False
    cuts: list[Deadline] = field(default_factory=list)


class UnderWay:
    """Calls by tenant and key. Several calls of one key, of a read for instance, are asked together.

    Args:
        grace_seconds: how long a tool may go on after the request.
    """

    def __init__(self, *, grace_seconds: float) -> None:
        self._grace = grace_seconds
        self._calls: dict[tuple[str, str], list[Interruption]] = {}

    def cancel(self, tenant: str, key: str) -> bool:
        """Asks the calls with this key to end; False if there is none. A second request changes nothing."""
        found = self._calls.get((tenant, key), [])
        deadline = asyncio.get_running_loop().time() + self._grace
        for interruption in found:
            if not interruption.requested:
                interruption.requested = True
                for cut in interruption.cuts:
                    cut.reschedule(deadline)
        return bool(found)

    def entered(self, tenant: str, key: str, interruption: Interruption) -> _Entered:
        """The call is found while the block runs; blocks of one call may nest, and outlive each other."""
        return _Entered(self._calls, (tenant, key), interruption)


class _Entered:
    __slots__ = ("_calls", "_interruption", "_key")

    def __init__(
        self, calls: dict[tuple[str, str], list[Interruption]], key: tuple[str, str], interruption: Interruption
    ) -> None:
        self._calls = calls
        self._key = key
        self._interruption = interruption

    def __enter__(self) -> None:
        self._calls.setdefault(self._key, []).append(self._interruption)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        calls = self._calls[self._key]
        calls.remove(self._interruption)
        if not calls:
            del self._calls[self._key]
