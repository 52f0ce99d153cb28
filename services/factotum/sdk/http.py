"""What an HTTP answer, or its absence, means to a tool; for tools that speak HTTP. Needs httpx2.

The ledger relies on one distinction: an error with `effect_possible=False` states that the system
certainly did nothing. That is so for a connection that was never made and for a definite refusal,
and for nothing else: a 5xx or a lost answer may hide an effect.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache

import httpx2

from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)

_INVALID = frozenset({400, 405, 406, 411, 413, 414, 415, 422})
_WORDS_LIMIT = 500
_LIMITED = re.compile(r"secondary rate limit|rate limit exceeded|exceeded (a|the|your) rate limit", re.IGNORECASE)
# Of a limit that does not say how long it holds.
_UNSAID_WAIT = 60.0


@cache
def trust() -> ssl.SSLContext:
    """The certificates that servers are verified by."""
    # Reading the certificates takes tens of milliseconds, which each call would pay anew.
    return httpx2.create_ssl_context()


def client(
    base_url: str,
    *,
    timeout: float,
    headers: dict[str, str] | None = None,
    auth: tuple[str, str] | None = None,
) -> httpx2.AsyncClient:
    """A client for one call. It follows no redirect: a write that was moved is a wrong setting."""
    return httpx2.AsyncClient(base_url=base_url, timeout=timeout, headers=headers, auth=auth, verify=trust())


@contextmanager
def reaching(system: str) -> Iterator[None]:
    """Turns what can go wrong on the way to a system into `Unavailable`, or `Failed` for a bad address."""
    try:
        yield
    except httpx2.RequestError as error:
        raise unreachable(system, error) from error
    except httpx2.InvalidURL as error:
        raise Failed(f"the address set for {system} is not one: {error}", effect_possible=False) from error


def unreachable(system: str, error: httpx2.RequestError) -> ToolError:
    """The error for a request that got no answer; without effect only if nothing was sent."""
    words = str(error) or type(error).__name__
    if isinstance(error, httpx2.UnsupportedProtocol):
        return Failed(f"the address set for {system} is not one: {words}", effect_possible=False)
    unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
    return Unavailable(f"{system} does not answer: {words}", effect_possible=not unsent)


# What `reaching` and `refusal` raise.
HTTP_ERRORS: tuple[type[ToolError], ...] = (
    InvalidArgument,
    NotPermitted,
    NotFound,
    Conflict,
    RateLimited,
    Unavailable,
    Failed,
)


def refusal(system: str, response: httpx2.Response, words: str, *, now: datetime) -> ToolError:
    """The error for an answer that is not a success.

    Args:
        words: the system's own explanation, as plain text; may be empty.
        now: reads a `Retry-After` that is a date.
    """
    status = response.status_code
    message = (
        f"{system} answered {status}: {words.strip()[:_WORDS_LIMIT] or response.reason_phrase or 'no reason given'}"
    )
    if status == 403 and (wait := _used_up(response, words, now)) is not None:
        return RateLimited(message, retry_after=wait, status=status)
    if status in (401, 403):
        return NotPermitted(message, status=status)
    if status in (404, 410):
        return NotFound(message, status=status)
    if status in (409, 412):
        return Conflict(message, status=status)
    if status in _INVALID:
        return InvalidArgument(message, status=status)
    if status == 429:
        return RateLimited(message, retry_after=_retry_after(response, now), status=status)
    if status == 408 or status >= 500:
        return Unavailable(message, status=status)
    return Failed(message, effect_possible=False, status=status)


@contextmanager
def asking(system: str) -> Iterator[None]:
    """Wraps a reconciler: whatever keeps it from asking is `Unavailable`, with the effect possible.

    Without it the refusal of the *question*, e.g. 401 or 429, would be read as the refusal of the effect.
    """
    try:
        yield
    except ToolError as error:
        raise Unavailable(f"{system} cannot be asked now: {error.message}", effect_possible=True) from error


def _used_up(response: httpx2.Response, words: str, now: datetime) -> float | None:
    """Seconds to wait where a 403 means that there were too many requests: GitHub answers its limits so
    (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). None where it means what it says."""
    if (wait := _retry_after(response, now)) is not None:
        return wait
    reset = response.headers.get("X-RateLimit-Reset", "")
    if response.headers.get("X-RateLimit-Remaining") == "0":
        return max(0.0, float(reset) - now.timestamp()) if reset.isascii() and reset.isdigit() else _UNSAID_WAIT
    return _UNSAID_WAIT if _LIMITED.search(words) else None


def _retry_after(response: httpx2.Response, now: datetime) -> float | None:
    """Seconds to wait by RFC 9110 §10.2.3: a number of seconds or a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return max(0.0, (moment - now).total_seconds())
