"""Values are kept for a short while, so that a call does not wait for a store and a rotated secret is soon taken up."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import structlog

from factotum.runtime.secrets.errors import SecretsUnavailable
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.store import SecretStore
from factotum.sdk.secret_forms import SHORTEST_MASKED

log = structlog.get_logger(__name__)

_MOST = 10_000

_Key = tuple[str, str, str]


class Cached:
    """Asks the store once for however many wait, and again when a value is older than `seconds`. A failure is told
    to all who wait, and is not kept.

    Args:
        seconds: how long a value is kept; 0: only for those who wait for it.
        timeout_seconds: how long the store may take.
        known: is told every value, so that logs and traces never show it.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        inner: SecretStore,
        *,
        seconds: float,
        timeout_seconds: float,
        known: Known,
        monotonic: Callable[[], float],
    ) -> None:
        self._inner = inner
        self._seconds = seconds
        self._timeout = timeout_seconds
        self._known = known
        self._monotonic = monotonic
        self._kept: OrderedDict[_Key, tuple[float, str]] = OrderedDict()
        self._asked: dict[_Key, asyncio.Task[str]] = {}

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`."""
        key = (tenant, name, user)
        kept = self._kept.get(key)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        asking = self._asked.get(key)
        if asking is None:
            asking = self._asked[key] = asyncio.create_task(self._ask(key))
            asking.add_done_callback(lambda done: self._answered(key, done))
        # Who gives up waiting does not take the answer from the others.
        return await asyncio.shield(asking)

    async def _ask(self, key: _Key) -> str:
        tenant, name, user = key
        # Of the time before it was asked: what was changed meanwhile is not taken for new.
        until = self._monotonic() + self._seconds
        try:
            async with asyncio.timeout(self._timeout):
                value = await self._inner.resolve(tenant, name, user=user)
        except TimeoutError:
            raise SecretsUnavailable(f"the store had no answer within {self._timeout:g} s") from None
        self._known.add(value)
        if len(value) < SHORTEST_MASKED:
            log.warning("a secret is too short to be masked in texts", tenant=tenant, secret=name)
        self._kept[key] = (until, value)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return value

    def _answered(self, key: _Key, asking: asyncio.Task[str]) -> None:
        self._asked.pop(key, None)
        if not asking.cancelled():
            asking.exception()  # read, even where nobody waits any more
