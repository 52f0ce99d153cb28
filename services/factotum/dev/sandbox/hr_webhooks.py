"""HR's webhooks, from the outbox to their receivers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime

import httpx2
import structlog

from factotum.dev.sandbox.hr_store import HrStore, Message
from factotum.dev.sandbox.tenants import Webhook

log = structlog.get_logger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
TIMEOUT = 10.0
AT_ONCE = 16


def sign(secret: str, body: bytes, timestamp: str) -> str:
    """`X-BambooHR-Signature`: hex HMAC-SHA256 over the body followed by the timestamp."""
    return hmac.new(secret.encode(), body + timestamp.encode("ascii"), hashlib.sha256).hexdigest()


def pause_after(attempts: int) -> float:
    """Seconds to wait after so many attempts that failed."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 16))


class Deliveries:
    """Sends what is due until it is taken with 2xx: at least once, in no certain order.

    A receiver that hangs or is away keeps no other one's messages waiting.
    """

    def __init__(
        self,
        store: HrStore,
        http: httpx2.AsyncClient,
        webhooks: Mapping[tuple[str, str], Webhook],
        now: Callable[[], datetime],
    ) -> None:
        """`webhooks` has each webhook by its company and name."""
        self._store = store
        self._http = http
        self._webhooks = webhooks
        self._now = now
        self._wakes = {key: asyncio.Event() for key in webhooks}

    def wake(self, company: str) -> None:
        """Says that there is something new to tell of a company."""
        for (owner, _), event in self._wakes.items():
            if owner == company:
                event.set()

    async def run(self) -> None:
        """Delivers for ever; a delivery that is cancelled is repeated at the next start."""
        async with asyncio.TaskGroup() as group:
            for (company, name), webhook in self._webhooks.items():
                group.create_task(self._run(company, name, webhook))
            await asyncio.Event().wait()

    async def _run(self, company: str, name: str, webhook: Webhook) -> None:
        wake = self._wakes[company, name]
        while True:
            wake.clear()
            messages = self._store.due(company, name, AT_ONCE)
            if messages:
                await asyncio.gather(*(self._deliver(message, webhook) for message in messages))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._store.next_due(company, name)):
                    await wake.wait()

    async def _deliver(self, message: Message, webhook: Webhook) -> None:
        timestamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "X-BambooHR-Timestamp": timestamp,
            "X-BambooHR-Signature": sign(webhook.secret, message.body, timestamp),
        }
        try:
            response = await self._http.post(
                str(webhook.url), content=message.body, headers=headers, timeout=TIMEOUT, follow_redirects=False
            )
            reason = None if response.is_success else f"answered {response.status_code}"
        except httpx2.RequestError as error:
            reason = str(error) or type(error).__name__
        if reason is None:
            self._store.delivered(message)
            return
        pause = pause_after(message.attempts + 1)
        self._store.failed(message, pause)
        log.warning(
            "webhook not taken",
            company=message.company,
            webhook=message.webhook,
            attempts=message.attempts + 1,
            again_in_seconds=pause,
            reason=reason,
        )
