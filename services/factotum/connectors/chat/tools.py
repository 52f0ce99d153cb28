"""Messages and channels in Slack.

Slack takes no idempotency key. A message carries one in its metadata, by which the channel's history is asked
whether an interrupted post is there.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from factotum.connectors.chat.api import SYSTEM, Endless, Refused, Workspace, workspace
from factotum.connectors.chat.settings import ChatSettings
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    Unavailable,
)
from factotum.sdk.http import asking
from factotum.sdk.spec import Compensation, Effect, Example, Idempotency
from factotum.sdk.tool import Connector

Context = ToolContext[ChatSettings]

EVENT_TYPE = "factotum_effect"
# How far Slack's clock, of which a message's ts is, may be behind ours.
CLOCK_SKEW = timedelta(minutes=5)
# docs.slack.dev, chat.postMessage: what is longer is cut, or refused.
_LONGEST = 40_000
_MESSAGE = {"channel": "C012AB3CD", "ts": "1503435956.000247"}
_MEMBER = {"channel": "C012AB3CD", "user": "U012AB3CD"}
_ERRORS = (RateLimited, NotPermitted, NotFound, Conflict, InvalidArgument, Unavailable, Failed)

ChannelId = Annotated[
    str,
    StringConstraints(pattern=r"^[CGD][A-Z0-9]{2,}$"),
    Field(description="The id of a channel or a direct message; chat.find_channel and chat.open_dm give it."),
]
UserId = Annotated[str, StringConstraints(pattern=r"^[UW][A-Z0-9]{2,}$"), Field(description="chat.find_user gives it.")]
Timestamp = Annotated[
    str, StringConstraints(pattern=r"^\d{1,12}\.\d{6}$"), Field(description="Identifies a message in its channel.")
]


class Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Body(Arguments):
    text: str = Field(min_length=1, max_length=_LONGEST, description="In Slack's mrkdwn; with blocks, their summary.")
    blocks: list[dict[str, Any]] | None = Field(default=None, max_length=50, description="Block Kit.")


class Post(Body):
    channel: ChannelId
    thread_ts: Timestamp | None = Field(default=None, description="Of the message that is replied to.")


class Edit(Body):
    channel: ChannelId
    ts: Timestamp


class MessageRef(Arguments):
    channel: ChannelId
    ts: Timestamp


class EmailQuery(Arguments):
    email: str = Field(pattern=r"^[^\s@]+@[^\s@]+$", max_length=254)


class ChannelQuery(Arguments):
    name: str = Field(pattern=r"^#?[^\s#]{1,80}$", description="With or without the #.")


class Membership(Arguments):
    channel: ChannelId
    user: UserId


class UserRef(Arguments):
    user: UserId


class Message(BaseModel):
    channel: str
    ts: str


class Person(BaseModel):
    user: str = Field(description="The id.")
    name: str
    real_name: str | None = None
    email: str | None = None
    deactivated: bool


class Channel(BaseModel):
    channel: str = Field(description="The id.")
    name: str
    private: bool
    archived: bool


class Direct(BaseModel):
    channel: str = Field(description="The id of the direct message, to post to.")


connector = Connector("chat", settings=ChatSettings)


@connector.tool(
    effect=Effect.SEND,
    idempotency=Idempotency.RECONCILE,
    compensation=Compensation(call="chat.delete_message", arguments={"channel": "${ .channel }", "ts": "${ .ts }"}),
    errors=(*_ERRORS, Ambiguous),
    examples=[
        Example(
            title="Greet a newcomer",
            arguments={"channel": "C012AB3CD", "text": "Welcome, Ada!"},
            output=_MESSAGE,
        )
    ],
)
async def post_message(arguments: Post, context: Context) -> Message:
    """Post a message to a channel, a thread or a direct message."""
    metadata = {"event_type": EVENT_TYPE, "event_payload": {"key": key(context)}}
    async with workspace(context) as slack:
        answer = await slack.call(
            "chat.postMessage",
            channel=arguments.channel,
            thread_ts=arguments.thread_ts,
            text=arguments.text,
            blocks=arguments.blocks,
            metadata=metadata,
        )
    return _message(answer)


@post_message.reconcile
async def find_posted(arguments: Post, context: Context) -> Message | None:
    """The message that has this call's key, None if there is none since the effect was begun.

    A message that somebody deleted meanwhile is none: Slack does not tell of it.
    """
    wanted = {"event_type": EVENT_TYPE, "event_payload": {"key": key(context)}}
    since = f"{(context.started_at - CLOCK_SKEW).timestamp():.6f}"
    thread = arguments.thread_ts
    method = "conversations.history" if thread is None else "conversations.replies"
    try:
        with asking(SYSTEM):
            async with workspace(context) as slack:
                async for message in slack.pages(
                    method, "messages", channel=arguments.channel, ts=thread, oldest=since, include_all_metadata=True
                ):
                    found = message.get("metadata") or {}
                    if {name: found.get(name) for name in wanted} == wanted:
                        return Message(channel=arguments.channel, ts=message["ts"])
    except Endless as error:
        raise Ambiguous(f"{error} since {context.started_at:%Y-%m-%d %H:%M} UTC: look for the message there") from None
    return None


@connector.tool(
    effect=Effect.UPDATE,
    errors=_ERRORS,
    examples=[
        Example(
            title="Correct what was posted",
            arguments={**_MESSAGE, "text": "Welcome, Ada Lovelace!"},
            output=_MESSAGE,
        )
    ],
)
async def update_message(arguments: Edit, context: Context) -> Message:
    """Put another text in place of that of a message which the app posted."""
    async with workspace(context) as slack:
        answer = await slack.call(
            "chat.update",
            channel=arguments.channel,
            ts=arguments.ts,
            text=arguments.text,
            # Where there are none, those of before are removed.
            blocks=arguments.blocks,
        )
    return _message(answer)


@connector.tool(
    effect=Effect.DELETE,
    errors=_ERRORS,
    examples=[
        Example(
            title="Take a message back",
            arguments=_MESSAGE,
            output=_MESSAGE,
        )
    ],
)
async def delete_message(arguments: MessageRef, context: Context) -> Message:
    """Delete a message that the app posted; one that is gone stays gone."""
    async with workspace(context) as slack:
        await _unless(slack, {"message_not_found"}, "chat.delete", channel=arguments.channel, ts=arguments.ts)
    return Message(channel=arguments.channel, ts=arguments.ts)


@connector.tool(
    effect=Effect.NONE,
    errors=_ERRORS,
    examples=[
        Example(
            title="By their address",
            arguments={"email": "ada@acme.example"},
            output={
                "user": "U012AB3CD",
                "name": "ada",
                "real_name": "Ada Lovelace",
                "email": "ada@acme.example",
                "deactivated": False,
            },
        )
    ],
)
async def find_user(arguments: EmailQuery, context: Context) -> Person:
    """Find a person of the workspace by e-mail address."""
    async with workspace(context) as slack:
        answer = await slack.call("users.lookupByEmail", email=arguments.email)
    user = answer.get("user") or {}
    if "id" not in user:
        raise Failed(f"{SYSTEM} found a person and did not say whom")
    profile = user.get("profile") or {}
    return Person(
        user=user["id"],
        name=user.get("name", ""),
        real_name=profile.get("real_name") or user.get("real_name"),
        email=profile.get("email"),
        deactivated=user.get("deleted", False),
    )


@connector.tool(
    effect=Effect.NONE,
    errors=_ERRORS,
    examples=[
        Example(
            title="The channel of a team",
            arguments={"name": "#engineering"},
            output={"channel": "C012AB3CD", "name": "engineering", "private": False, "archived": False},
        )
    ],
)
async def find_channel(arguments: ChannelQuery, context: Context) -> Channel:
    """Find a channel that the app can see by its name."""
    name = arguments.name.removeprefix("#").casefold()
    try:
        async with workspace(context) as slack:
            async for one in slack.pages("conversations.list", "channels", types="public_channel,private_channel"):
                if one.get("name", "").casefold() == name:
                    return Channel(
                        channel=one["id"],
                        name=one["name"],
                        private=one.get("is_private", False),
                        archived=one.get("is_archived", False),
                    )
    except Endless as error:
        raise Failed(f"#{name} is not among the first: {error}. Give its id") from None
    raise NotFound(f"{SYSTEM} has no channel #{name} that the app can see")


@connector.tool(
    effect=Effect.UPDATE,
    errors=_ERRORS,
    examples=[
        Example(
            title="Let a newcomer into their team's channel",
            arguments=_MEMBER,
            output=_MEMBER,
        )
    ],
)
async def invite(arguments: Membership, context: Context) -> Membership:
    """Add a person to a channel; one who is in it stays in it."""
    async with workspace(context) as slack:
        given = {"channel": arguments.channel, "users": arguments.user}
        await _unless(slack, {"already_in_channel"}, "conversations.invite", **given)
    return arguments


@connector.tool(
    effect=Effect.UPDATE,
    errors=_ERRORS,
    examples=[
        Example(
            title="Take a leaver out of a channel",
            arguments=_MEMBER,
            output=_MEMBER,
        )
    ],
)
async def remove(arguments: Membership, context: Context) -> Membership:
    """Take a person out of a channel; one who is not in it stays out of it."""
    async with workspace(context) as slack:
        given = {"channel": arguments.channel, "user": arguments.user}
        await _unless(slack, {"not_in_channel"}, "conversations.kick", **given)
    return arguments


@connector.tool(
    effect=Effect.UPDATE,
    errors=_ERRORS,
    examples=[
        Example(
            title="Before a person is written to",
            arguments={"user": "U012AB3CD"},
            output={"channel": "D012AB3CD"},
        )
    ],
)
async def open_dm(arguments: UserRef, context: Context) -> Direct:
    """Open the direct message with a person, or find the one there is."""
    async with workspace(context) as slack:
        answer = await slack.call("conversations.open", users=arguments.user)
    channel = (answer.get("channel") or {}).get("id")
    if not isinstance(channel, str):
        raise Failed(f"{SYSTEM} opened a direct message and did not say which")
    return Direct(channel=channel)


def key(context: Context) -> str:
    """What a message has in its metadata: the same on every retry, and of no other tenant."""
    return hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).hexdigest()[:40]


async def _unless(slack: Workspace, already: set[str], method: str, **arguments: Any) -> None:
    """Calls the method; a refusal which says that nothing is left to do is none."""
    try:
        await slack.try_call(method, **arguments)
    except Refused as refused:
        if refused.code not in already:
            raise refused.error from None


def _message(answer: dict[str, Any]) -> Message:
    if not isinstance(answer.get("channel"), str) or not isinstance(answer.get("ts"), str):
        raise Failed(f"{SYSTEM} took the message and did not say where it stands")
    return Message(channel=answer["channel"], ts=answer["ts"])
