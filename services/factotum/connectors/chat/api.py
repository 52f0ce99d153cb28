"""Slack's Web API: one method a call, and what its answers mean (docs.slack.dev/apis/web-api).

They are called over the tenant's allow-list: the vendor's asynchronous client sends by a library of its own, past it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx2
from pydantic_core import from_json

from factotum.connectors.chat.settings import MOST_PAGES, ChatSettings
from factotum.connectors.protocols.egress import Egress, guarded_client, origin
from factotum.connectors.protocols.external_resource import body
from factotum.sdk.context import ToolContext
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
from factotum.sdk.http import reaching, refusal

SYSTEM = "Slack"

# By the first part of their names, the longest that fits counts: Slack has hundreds, of a few families.
_MEANINGS: Mapping[str, type[ToolError]] = {
    "ratelimited": RateLimited,
    "rate_limited": RateLimited,
    "access_denied": NotPermitted,
    "accesslimited": NotPermitted,
    "account_inactive": NotPermitted,
    "as_user_not_supported": NotPermitted,
    "cannot_": NotPermitted,
    "cant_": NotPermitted,
    "compliance_exports_prevent_deletion": NotPermitted,
    "ekm_access_denied": NotPermitted,
    "enterprise_is_restricted": NotPermitted,
    "invalid_auth": NotPermitted,
    "missing_scope": NotPermitted,
    "no_permission": NotPermitted,
    "not_allowed_token_type": NotPermitted,
    "not_authed": NotPermitted,
    "not_in_channel": NotPermitted,
    "org_login_required": NotPermitted,
    "restricted_action": NotPermitted,
    "team_access_not_granted": NotPermitted,
    "token_expired": NotPermitted,
    "token_revoked": NotPermitted,
    "two_factor_setup_required": NotPermitted,
    "ura_max_channels": NotPermitted,
    "user_is_restricted": NotPermitted,
    "user_is_ultra_restricted": NotPermitted,
    "channel_not_found": NotFound,
    "message_not_found": NotFound,
    "thread_not_found": NotFound,
    "user_not_found": NotFound,
    "users_not_found": NotFound,
    "edit_window_closed": Conflict,
    "is_archived": Conflict,
    "is_inactive": Conflict,
    "blocks_": InvalidArgument,
    "invalid_": InvalidArgument,
    "markdown_text_conflict": InvalidArgument,
    "metadata_too_large": InvalidArgument,
    "method_not_supported_for_channel_type": InvalidArgument,
    "msg_blocks_too_long": InvalidArgument,
    "msg_too_long": InvalidArgument,
    "no_text": InvalidArgument,
    "no_user": InvalidArgument,
    "too_many_": InvalidArgument,
    # "It's possible some aspect of the operation succeeded before the error was raised."
    "fatal_error": Unavailable,
    "internal_error": Unavailable,
    "request_timeout": Unavailable,
    "service_unavailable": Unavailable,
    "team_added_to_org": Unavailable,
}
_ADVICE = {
    "missing_scope": "give the app that scope and install it again",
    "not_in_channel": "invite the app's bot to the channel",
}


class Refused(Exception):
    """An answer that is not `ok`; `code` is Slack's word for why."""

    def __init__(self, code: str, error: ToolError) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


class Endless(Exception):
    """More pages than are looked through."""


class Workspace:
    """A workspace for the length of one call."""

    def __init__(self, http: httpx2.AsyncClient, settings: ChatSettings, now: datetime) -> None:
        self._http = http
        self._settings = settings
        self._now = now

    async def call(self, method: str, /, **arguments: Any) -> dict[str, Any]:
        """The answer. Raises what the error means; `RateLimited` with when to come back."""
        try:
            return await self.try_call(method, **arguments)
        except Refused as refused:
            raise refused.error from None

    async def try_call(self, method: str, /, **arguments: Any) -> dict[str, Any]:
        """The same; raises `Refused` where the answer has a word for why it is not `ok`."""
        # A form, which all methods take; what is not a text in it is JSON.
        form = {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in arguments.items()
            if value is not None
        }
        with reaching(SYSTEM):
            async with self._http.stream("POST", method, data=form) as response:
                content = await body(SYSTEM, response, self._settings.max_bytes)
        if not response.is_success:
            raise refusal(SYSTEM, response, _code(content), now=self._now)
        answer = _read(content)
        if answer.get("ok") is not True:
            code = str(answer.get("error", "unknown_error"))
            raise Refused(code, _meaning(method, code, answer))
        return answer

    async def pages(self, method: str, field: str, /, **arguments: Any) -> AsyncIterator[dict[str, Any]]:
        """What a method lists, over all its pages. Raises `Endless` where there are more than are looked through."""
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            answer = await self.call(method, limit=self._settings.page, cursor=cursor, **arguments)
            for one in answer.get(field, []):
                yield one
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        raise Endless(f"{SYSTEM} has more than {MOST_PAGES} pages of {self._settings.page} {field}")


@asynccontextmanager
async def workspace(context: ToolContext[ChatSettings]) -> AsyncIterator[Workspace]:
    settings = context.settings
    allow = [origin(settings.base_url), *settings.allow]
    way = Egress(allow, where=f"tenants.{context.tenant}.chat.allow of the connectors file")
    token = context.secret(settings.token)
    async with guarded_client(way, timeout=settings.timeout) as http:
        http.base_url = httpx2.URL(settings.base_url)
        http.headers["Authorization"] = f"Bearer {token}"
        yield Workspace(http, settings, context.now())


def _meaning(method: str, code: str, answer: Mapping[str, Any]) -> ToolError:
    advice = f": {_ADVICE[code]}" if code in _ADVICE else ""
    needed = f" ({answer['needed']})" if isinstance(answer.get("needed"), str) else ""
    details = (answer.get("response_metadata") or {}).get("messages")
    words = f" {'; '.join(map(str, details))}" if isinstance(details, list) else ""
    message = f"{SYSTEM} answered {method} with {code}{needed}{advice}{words[:500]}"
    fitting = max((name for name in _MEANINGS if code.startswith(name)), key=len, default="")
    if not fitting:
        return Failed(message)
    return _MEANINGS[fitting](message)


def _read(content: bytes) -> dict[str, Any]:
    try:
        answer = from_json(content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Failed(f"{SYSTEM} did not answer with a JSON object")
    return answer


def _code(content: bytes) -> str:
    try:
        return str(_read(content).get("error", ""))
    except Failed:
        return ""
