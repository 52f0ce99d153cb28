"""A stand-in for Slack's Web API as docs.slack.dev describes it: state, scopes, metadata, cursors, rate limits."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from factotum.runtime import clock
from tests.support.served_app import served_app

TOKEN = "xoxb-1-stand-in"
BOT = "UBOT00001"
SCOPES = frozenset(
    {"chat:write", "channels:history", "groups:history", "im:history", "users:read", "users:read.email"}
    | {"channels:read", "groups:read", "channels:manage", "groups:write", "im:write"}
)
_LONGEST = 40_000
_METADATA_BYTES = 8_000


class Refusal(Exception):
    """An answer with `ok` false."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


@dataclass
class Channel:
    id: str
    name: str = ""
    private: bool = False
    archived: bool = False
    members: set[str] = field(default_factory=lambda: {BOT})
    messages: list[dict[str, Any]] = field(default_factory=list)


class Slack:
    """A workspace.

    Attributes:
        scripted: answers for the next requests of a method, in place of its own: a status with headers, an error's
            word, or `lost` for a gateway's 502 after the method was carried out.
        calls: what was asked for, as (method, arguments).
    """

    def __init__(self, now: Callable[[], datetime] = clock.now) -> None:
        self.now = now
        self.scopes = set(SCOPES)
        self.users: dict[str, dict[str, Any]] = {
            "U0ADA0001": {
                "id": "U0ADA0001",
                "name": "ada",
                "profile": {"real_name": "Ada", "email": "ada@acme.example"},
            },
            BOT: {"id": BOT, "name": "factotum", "is_bot": True, "profile": {}},
        }
        self.channels = {
            one.id: one
            for one in (
                Channel("C0GENERAL", "general"),
                Channel("C0OLD", "old", archived=True),
                Channel("G0SECRET", "secret", private=True),
                Channel("C0AWAY", "away", members=set()),
            )
        }
        self.scripted: dict[str, list[str | tuple[int, dict[str, str]]]] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self._last = 0

    def posted(self, channel: str = "C0GENERAL") -> list[dict[str, Any]]:
        """The messages, the oldest first."""
        return self.channels[channel].messages

    async def answer(self, request: Request) -> Response:
        method = request.path_params["method"]
        arguments = await _arguments(request)
        self.calls.append((method, arguments))
        script = self.scripted.get(method, [])
        told = script.pop(0) if script else None
        if isinstance(told, tuple):
            return JSONResponse({"ok": False, "error": "ratelimited"}, told[0], headers=told[1])
        try:
            if request.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refusal("invalid_auth" if "Authorization" in request.headers else "not_authed")
            handler = _METHODS.get(method)
            if handler is None:
                raise Refusal("unknown_method")
            if told not in (None, "lost"):
                raise Refusal(str(told))
            answer = {"ok": True, **handler(self, arguments)}
        except Refusal as refusal:
            answer = refusal.answer
        if told == "lost":
            return Response("Bad Gateway", 502)
        return JSONResponse(answer)

    def post(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("chat:write")
        channel = self._writable(arguments)
        text, metadata = arguments.get("text", ""), arguments.get("metadata")
        if not text and "blocks" not in arguments:
            raise Refusal("no_text")
        if len(text) > _LONGEST:
            raise Refusal("msg_too_long")
        message: dict[str, Any] = {"type": "message", "user": BOT, "text": text, "ts": self._timestamp()}
        if "blocks" in arguments:
            message["blocks"] = _blocks(arguments["blocks"])
        # What is too large is left out, with a warning, and the message is posted without it.
        if metadata is not None and len(metadata) <= _METADATA_BYTES:
            message["metadata"] = _metadata(metadata)
        if (thread := arguments.get("thread_ts")) is not None:
            if not any(one["ts"] == thread for one in channel.messages):
                raise Refusal("thread_not_found")
            message["thread_ts"] = thread
        channel.messages.append(message)
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def update(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("chat:write")
        message = self._message(self._writable(arguments), arguments)
        if message["user"] != BOT:
            raise Refusal("cant_update_message")
        message["text"] = arguments.get("text", message["text"])
        if "blocks" in arguments:
            message["blocks"] = _blocks(arguments["blocks"])
        elif "text" in arguments:
            message.pop("blocks", None)
        return {"channel": arguments["channel"], "ts": message["ts"], "text": message["text"]}

    def delete(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("chat:write")
        channel = self._writable(arguments)
        message = self._message(channel, arguments)
        if message["user"] != BOT:
            raise Refusal("cant_delete_message")
        channel.messages.remove(message)
        return {"channel": channel.id, "ts": message["ts"]}

    def history(self, arguments: dict[str, str]) -> dict[str, Any]:
        channel = self._readable(arguments)
        found = [one for one in reversed(channel.messages) if one.get("thread_ts", one["ts"]) == one["ts"]]
        return _page("messages", _visible(found, arguments), arguments, most=999)

    def replies(self, arguments: dict[str, str]) -> dict[str, Any]:
        channel = self._readable(arguments)
        thread = arguments.get("ts", "")
        if not any(one["ts"] == thread for one in channel.messages):
            raise Refusal("thread_not_found")
        found = [one for one in channel.messages if thread in (one["ts"], one.get("thread_ts"))]
        # The first of a thread is there however old it is.
        first, rest = found[:1], _visible(found[1:], arguments)
        return _page("messages", [*_visible(first, {**arguments, "oldest": "0"}), *rest], arguments, most=999)

    def lookup(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("users:read.email")
        for user in self.users.values():
            if user["profile"].get("email", "").casefold() == arguments.get("email", "").casefold():
                return {"user": user}
        raise Refusal("users_not_found")

    def list(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("channels:read")
        found = [
            {"id": one.id, "name": one.name, "is_private": one.private, "is_archived": one.archived}
            for one in self.channels.values()
            if one.name and (not one.private or BOT in one.members)
        ]
        return _page("channels", found, arguments, most=1000)

    def invite(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("channels:manage")
        channel = self._writable(arguments)
        user = self._user(arguments.get("users", ""))
        if user == BOT:
            raise Refusal("cant_invite_self")
        if user in channel.members:
            raise Refusal("already_in_channel")
        channel.members.add(user)
        return {"channel": {"id": channel.id}}

    def kick(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("channels:manage")
        channel = self._known(arguments)
        user = self._user(arguments.get("user", ""))
        if user not in channel.members:
            raise Refusal("not_in_channel")
        channel.members.remove(user)
        return {}

    def open(self, arguments: dict[str, str]) -> dict[str, Any]:
        self._needs("im:write")
        user = self._user(arguments.get("users", ""))
        direct = Channel(f"D{user[1:]}", members={BOT, user})
        return {"channel": {"id": self.channels.setdefault(direct.id, direct).id}}

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refusal("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _user(self, user: str) -> str:
        if user not in self.users:
            raise Refusal("user_not_found")
        return user

    def _known(self, arguments: dict[str, str]) -> Channel:
        if arguments.get("channel") not in self.channels:
            raise Refusal("channel_not_found")
        return self.channels[arguments["channel"]]

    def _writable(self, arguments: dict[str, str]) -> Channel:
        channel = self._known(arguments)
        if channel.archived:
            raise Refusal("is_archived")
        if BOT not in channel.members:
            raise Refusal("not_in_channel")
        return channel

    def _readable(self, arguments: dict[str, str]) -> Channel:
        channel = self._known(arguments)
        self._needs({"C": "channels:history", "G": "groups:history", "D": "im:history"}[channel.id[0]])
        if BOT not in channel.members:
            raise Refusal("not_in_channel")
        return channel

    def _message(self, channel: Channel, arguments: dict[str, str]) -> dict[str, Any]:
        for message in channel.messages:
            if message["ts"] == arguments.get("ts"):
                return message
        raise Refusal("message_not_found")

    def _timestamp(self) -> str:
        """Of microseconds, and of one message alone."""
        self._last = max(self._last + 1, int(self.now().timestamp() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"


_METHODS: dict[str, Callable[[Slack, dict[str, str]], dict[str, Any]]] = {
    "chat.postMessage": Slack.post,
    "chat.update": Slack.update,
    "chat.delete": Slack.delete,
    "conversations.history": Slack.history,
    "conversations.replies": Slack.replies,
    "conversations.list": Slack.list,
    "conversations.invite": Slack.invite,
    "conversations.kick": Slack.kick,
    "conversations.open": Slack.open,
    "users.lookupByEmail": Slack.lookup,
}


@asynccontextmanager
async def slack_server(slack: Slack) -> AsyncIterator[str]:
    """Its base URL."""
    routes = [Route("/api/{method}", slack.answer, methods=["GET", "POST"])]
    async with served_app(lambda _: Starlette(routes=routes)) as address:
        yield f"{address}/api/"


async def _arguments(request: Request) -> dict[str, str]:
    if request.headers.get("Content-Type", "").startswith("application/json"):
        given = await request.json()
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    form = await request.form()
    return {**request.query_params, **{name: str(value) for name, value in form.items()}}


def _blocks(text: str) -> list[Any]:
    try:
        blocks = json.loads(text)
    except ValueError:
        raise Refusal("invalid_blocks_format") from None
    if not isinstance(blocks, list) or not all(isinstance(one, dict) and "type" in one for one in blocks):
        raise Refusal("invalid_blocks", response_metadata={"messages": ["[ERROR] missing required field: type"]})
    return blocks


def _metadata(text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError:
        raise Refusal("invalid_metadata_format") from None
    if not isinstance(metadata, dict) or not {"event_type", "event_payload"} <= metadata.keys():
        raise Refusal("invalid_metadata_schema")
    return metadata


def _visible(messages: list[dict[str, Any]], arguments: dict[str, str]) -> list[dict[str, Any]]:
    """Without metadata, unless it is asked for; later than `oldest`."""
    oldest = float(arguments.get("oldest", "0"))
    whole = arguments.get("include_all_metadata") in ("true", "1")
    return [
        {name: value for name, value in one.items() if whole or name != "metadata"}
        for one in messages
        if float(one["ts"]) > oldest
    ]


def _page(name: str, found: list[Any], arguments: dict[str, str], *, most: int) -> dict[str, Any]:
    limit = int(arguments.get("limit", "100"))
    if not 1 <= limit <= most:
        raise Refusal("invalid_limit")
    try:
        start = int(base64.b64decode(arguments["cursor"])) if arguments.get("cursor") else 0
    except ValueError:
        raise Refusal("invalid_cursor") from None
    rest = found[start + limit :]
    cursor = base64.b64encode(str(start + limit).encode()).decode() if rest else ""
    return {name: found[start : start + limit], "has_more": bool(rest), "response_metadata": {"next_cursor": cursor}}
