"""HTTP requests to parts of Factotum and to the systems of the sandbox."""

from __future__ import annotations

from typing import Any

import httpx2

from factotum.cli.connection import ADVICE, REQUEST_SECONDS
from factotum.cli.errors import BadInput, CommandError, StackNotRunning


async def request(part: str, method: str, url: str, **content: Any) -> httpx2.Response:
    """A successful response of `part`.

    Raises `StackNotRunning` if it cannot be reached, `BadInput` for what it calls malformed, and
    `CommandError`, with the detail of its problem+json, for every other refusal.
    """
    try:
        async with httpx2.AsyncClient(timeout=REQUEST_SECONDS) as client:
            response = await client.request(method, url, **content)
    except httpx2.RequestError as error:
        raise StackNotRunning(f"the {part} at {url} does not answer: {ADVICE}") from error
    except httpx2.InvalidURL as error:
        raise BadInput(f"{url!r} is not an address: {error}") from error
    if response.is_success:
        return response
    error_type = BadInput if response.status_code in (400, 413, 422) else CommandError
    raise error_type(f"the {part} answered {response.status_code}: {_detail(response)}")


def _detail(response: httpx2.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500] or response.reason_phrase
    detail = body.get("detail") if isinstance(body, dict) else None
    return str(detail or body)[:500]
