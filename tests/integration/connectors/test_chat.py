"""Slack's Web API over HTTP: what is asked, what its answers mean, and that a message is posted once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from factotum.connectors.chat import api
from factotum.connectors.chat.settings import ChatSettings
from factotum.connectors.chat.tools import CLOCK_SKEW, EVENT_TYPE, connector, find_posted
from factotum.runtime import clock
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from tests.support.kill_points import House, KillPoint, called, house_of, killed_and_called_again
from tests.support.scripted_http import Answer, scripted_http
from tests.support.slack import TOKEN, Channel, Slack, slack_server
from tests.support.tool_calls import closed_port, tool_context

GENERAL = "C0GENERAL"
ADA = "U0ADA0001"


class Place:
    def __init__(self, slack: Slack, url: str) -> None:
        self.slack = slack
        self.url = url

    def settings(self, **given: Any) -> ChatSettings:
        return ChatSettings(**{"token": "secret://slack", "base_url": self.url, "page": 2, **given})

    async def use(
        self, tool: str, settings: ChatSettings | None = None, key: str = "key-1", token: str = TOKEN, **arguments: Any
    ) -> dict[str, Any]:
        made = connector.tools[f"chat.{tool}"]
        context = tool_context(settings or self.settings(), key=key, started_at=clock.now(), slack=token)
        given = made.arguments.model_validate(arguments)
        output: dict[str, Any] = (await made.function(given, context)).model_dump()
        return output

    async def found(self, key: str = "key-1", started_at: datetime | None = None, **arguments: Any) -> Any:
        context = tool_context(self.settings(), key=key, started_at=started_at or clock.now(), slack=TOKEN)
        given = connector.tools["chat.post_message"].arguments.model_validate({"text": "x", **arguments})
        return await find_posted(given, context)

    def fill(self, count: int, channel: str = GENERAL, **more: Any) -> None:
        """Messages of others."""
        for number in range(count):
            self.slack.posted(channel).append(
                {"user": ADA, "text": str(number), "ts": self.slack._timestamp(), "metadata": None, **more}
            )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    slack = Slack()
    async with slack_server(slack) as url:
        yield Place(slack, url)


async def test_a_message_is_posted_changed_and_deleted(place: Place) -> None:
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "*hi*"}}]
    posted = await place.use("post_message", channel=GENERAL, text="hi & bye", blocks=blocks)
    (message,) = place.slack.posted()
    assert posted == {"channel": GENERAL, "ts": message["ts"]}
    assert (message["text"], message["blocks"]) == ("hi & bye", blocks)
    assert await place.use("update_message", **posted, text="changed") == posted
    assert message["text"] == "changed" and "blocks" not in message
    for _ in range(2):
        assert await place.use("delete_message", **posted) == posted
    assert place.slack.posted() == []


async def test_a_reply_stands_in_its_thread(place: Place) -> None:
    posted = await place.use("post_message", channel=GENERAL, text="first")
    reply = await place.use("post_message", channel=GENERAL, text="second", thread_ts=posted["ts"], key="key-2")
    assert place.slack.posted()[1]["thread_ts"] == posted["ts"]
    place.fill(3, thread_ts=posted["ts"])
    assert (await place.found("key-2", channel=GENERAL, thread_ts=posted["ts"])).ts == reply["ts"]
    assert await place.found("key-2", channel=GENERAL) is None, "a reply is not in the channel's own history"
    assert await place.found("key-3", channel=GENERAL, thread_ts=posted["ts"]) is None


async def test_a_post_is_found_by_its_key_over_all_pages(place: Place) -> None:
    began = clock.now()
    posted = await place.use("post_message", channel=GENERAL, text="hello")
    place.fill(5)
    assert (await place.found(started_at=began, channel=GENERAL)).model_dump() == posted
    asked = [arguments for method, arguments in place.slack.calls if method == "conversations.history"]
    assert len(asked) == 3 and all(one["include_all_metadata"] == "true" for one in asked)
    assert float(asked[0]["oldest"]) == pytest.approx((began - CLOCK_SKEW).timestamp(), abs=0.001)
    assert await place.found("another", channel=GENERAL) is None


async def test_a_key_is_of_one_tenant_and_looks_no_further_back_than_the_call_began(place: Place) -> None:
    await place.use("post_message", channel=GENERAL, text="hello")
    assert await place.found(started_at=clock.now() + 2 * CLOCK_SKEW, channel=GENERAL) is None
    metadata = place.slack.posted()[0]["metadata"]
    assert metadata["event_type"] == EVENT_TYPE and "key-1" not in metadata["event_payload"]["key"]
    made = connector.tools["chat.post_message"].arguments.model_validate({"channel": GENERAL, "text": "x"})
    other = tool_context(place.settings(), key="key-1", tenant="globex", started_at=clock.now(), slack=TOKEN)
    assert await find_posted(made, other) is None


async def test_what_keeps_from_asking_is_no_answer(place: Place) -> None:
    await place.use("post_message", channel=GENERAL, text="hello")
    place.slack.scopes.remove("channels:history")
    with pytest.raises(Unavailable, match=r"missing_scope.*channels:history") as caught:
        await place.found(channel=GENERAL)
    assert caught.value.effect_possible
    place.slack.scopes.add("channels:history")
    place.slack.scripted["conversations.history"] = [(429, {"Retry-After": "3"})]
    with pytest.raises(Unavailable):
        await place.found(channel=GENERAL)


async def test_what_cannot_be_looked_through_is_for_a_person(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_PAGES", 2)
    place.fill(5)
    with pytest.raises(Ambiguous, match="more than 2 pages of 2 messages"):
        await place.found(channel=GENERAL)
    place.slack.channels |= {f"C{n}": Channel(f"C{n}", f"c{n}") for n in range(5)}
    with pytest.raises(Failed, match="Give its id"):
        await place.use("find_channel", name="none")


async def test_people_and_channels_are_found(place: Place) -> None:
    ada = {"user": ADA, "name": "ada", "real_name": "Ada", "email": "ada@acme.example", "deactivated": False}
    assert await place.use("find_user", email="Ada@acme.example") == ada
    with pytest.raises(NotFound, match="users_not_found"):
        await place.use("find_user", email="bob@acme.example")
    secret = {"channel": "G0SECRET", "name": "secret", "private": True, "archived": False}
    assert await place.use("find_channel", name="#Secret") == secret
    with pytest.raises(NotFound, match="#none"):
        await place.use("find_channel", name="none")


async def test_people_come_and_go_once(place: Place) -> None:
    for _ in range(2):
        assert await place.use("invite", channel=GENERAL, user=ADA) == {"channel": GENERAL, "user": ADA}
    assert ADA in place.slack.channels[GENERAL].members
    for _ in range(2):
        await place.use("remove", channel=GENERAL, user=ADA)
    assert ADA not in place.slack.channels[GENERAL].members
    direct = await place.use("open_dm", user=ADA)
    assert await place.use("open_dm", user=ADA) == direct
    await place.use("post_message", channel=direct["channel"], text="hello")
    assert (await place.found(channel=direct["channel"])) is not None


@pytest.mark.parametrize(
    ("code", "kind", "possible"),
    [
        ("ratelimited", RateLimited, False),
        ("invalid_auth", NotPermitted, False),
        ("token_revoked", NotPermitted, False),
        ("restricted_action_read_only_channel", NotPermitted, False),
        ("channel_not_found", NotFound, False),
        ("is_archived", Conflict, False),
        ("invalid_blocks_format", InvalidArgument, False),
        ("msg_too_long", InvalidArgument, False),
        ("fatal_error", Unavailable, True),
        ("internal_error", Unavailable, True),
        ("a_word_of_tomorrow", Failed, True),
    ],
)
async def test_what_a_refusal_means(place: Place, code: str, kind: type[ToolError], possible: bool) -> None:
    place.slack.scripted["chat.postMessage"] = [code]
    with pytest.raises(kind, match=f"chat.postMessage with {code}") as caught:
        await place.use("post_message", channel=GENERAL, text="hello")
    assert type(caught.value) is kind and caught.value.effect_possible is possible


async def test_a_rate_limit_says_when_to_come_back(place: Place) -> None:
    place.slack.scripted["chat.postMessage"] = [(429, {"Retry-After": "7"})]
    with pytest.raises(RateLimited) as caught:
        await place.use("post_message", channel=GENERAL, text="hello")
    assert (caught.value.retry_after, caught.value.effect_possible, caught.value.status) == (7.0, False, 429)
    place.slack.scripted["chat.postMessage"] = [(503, {})]
    with pytest.raises(Unavailable) as lost:
        await place.use("post_message", channel=GENERAL, text="hello")
    assert lost.value.effect_possible


async def test_advice_where_there_is_some(place: Place) -> None:
    with pytest.raises(NotPermitted, match="invite the app's bot"):
        await place.use("post_message", channel="C0AWAY", text="hello")
    with pytest.raises(InvalidArgument, match="missing required field: type"):
        await place.use("post_message", channel=GENERAL, text="hello", blocks=[{"text": "?"}])
    with pytest.raises(NotPermitted, match="invalid_auth") as caught:
        await place.use("post_message", channel=GENERAL, text="hello", token="xoxb-wrong")
    assert "xoxb" not in caught.value.message


async def test_only_slack_is_reached(place: Place) -> None:
    assert ChatSettings(token="secret://x").base_url == "https://slack.com/api/"
    async with scripted_http(Answer(200, b"{}")) as elsewhere:
        place.slack.scripted["conversations.open"] = [(307, {"Location": f"{elsewhere.url}/api/conversations.open"})]
        with pytest.raises(Failed):
            await place.use("open_dm", user=ADA)
        assert elsewhere.requests == [], "the token is for Slack alone"


async def test_an_answer_is_bounded(place: Place) -> None:
    with pytest.raises(Failed, match="1000 bytes"):
        await place.use("post_message", place.settings(max_bytes=1000), channel=GENERAL, text="x" * 2000)


@pytest.mark.parametrize(
    "given",
    [
        {"channel": "#general", "text": "x"},
        {"channel": ADA, "text": "x"},
        {"channel": GENERAL, "text": ""},
        {"channel": GENERAL, "text": "x" * 40_001},
        {"channel": GENERAL, "text": "x", "thread_ts": "yesterday"},
        {"channel": GENERAL, "text": "x", "as_user": True},
    ],
)
def test_what_no_message_is(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        connector.tools["chat.post_message"].arguments.model_validate(given)


# Once


@pytest.mark.parametrize("point", KillPoint)
async def test_a_killed_executor_posts_once(place: Place, point: KillPoint, tmp_path: Path) -> None:
    house = House(connector, place.settings(), tmp_path, {"slack": TOKEN})
    answer = await killed_and_called_again(house, "chat.post_message", {"channel": GENERAL, "text": "hello"}, point)
    (message,) = place.slack.posted()
    assert answer.output_json == f'{{"channel":"{GENERAL}","ts":"{message["ts"]}"}}'


async def test_without_its_metadata_it_would_post_twice(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proof that the test above sees what it is there for."""
    monkeypatch.setattr("factotum.connectors.chat.tools.key", lambda context: str(len(place.slack.calls)))
    house = House(connector, place.settings(), tmp_path, {"slack": TOKEN})
    given = {"channel": GENERAL, "text": "hello"}
    await killed_and_called_again(house, "chat.post_message", given, KillPoint.BEFORE_THE_ANSWER)
    assert len(place.slack.posted()) == 2


async def test_a_lost_answer_is_asked_for(place: Place, tmp_path: Path) -> None:
    house = House(connector, place.settings(), tmp_path, {"slack": TOKEN})
    place.slack.scripted["chat.postMessage"] = ["lost"]
    async with SqliteLedger(tmp_path / "ledger.sqlite", ambiguous_retry_seconds=3.0) as ledger:
        executor = house.executor(ledger, connector)
        for _ in range(2):
            answer = await called(executor, "chat.post_message", {"channel": GENERAL, "text": "hello"})
    assert answer.error is None and len(place.slack.posted()) == 1


def world(place: Place, tool: str) -> World[Any]:
    async def arguments(number: int) -> dict[str, Any]:
        user = f"U0NEW{number:04d}"
        profile = {"email": f"new{number}@acme.example", "real_name": "New"}
        place.slack.users[user] = {"id": user, "name": f"new{number}", "profile": profile}
        match tool.removeprefix("chat."):
            case "post_message":
                return {"channel": GENERAL, "text": f"number {number}"}
            case "update_message" | "delete_message" as name:
                posted = place.slack.post({"channel": GENERAL, "text": "before"})
                reference = {"channel": GENERAL, "ts": posted["ts"]}
                return reference if name == "delete_message" else {**reference, "text": f"number {number}"}
            case "invite":
                return {"channel": GENERAL, "user": user}
            case "remove":
                place.slack.channels[GENERAL].members.add(user)
                return {"channel": GENERAL, "user": user}
            case "find_user":
                return {"email": profile["email"]}
            case "find_channel":
                return {"name": "general"}
        return {"user": user}

    async def standing(given: Any) -> int:
        posted = place.slack.posted()
        match tool.removeprefix("chat."):
            case "post_message" | "update_message":
                return sum(one["text"] == given["text"] for one in posted)
            case "delete_message":
                return int(all(one["ts"] != given["ts"] for one in posted))
            case "invite":
                return int(given["user"] in place.slack.channels[GENERAL].members)
            case "remove":
                return int(given["user"] not in place.slack.channels[GENERAL].members)
        return int(f"D{given['user'][1:]}" in place.slack.channels)

    return World(
        settings=place.settings(page=200),
        arguments=arguments,
        standing=None if tool.startswith("chat.find") else standing,
        undo=connector.tools["chat.delete_message"] if tool == "chat.post_message" else None,
        secrets={"slack": TOKEN},
        away=place.settings(base_url=f"http://127.0.0.1:{closed_port()}/api/"),
    )


@pytest.mark.parametrize("tool", sorted(connector.tools))
async def test_conformance(place: Place, tool: str) -> None:
    (await check_tool(connector.tools[tool], world(place, tool))).assert_passed()


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("tool", [name for name in sorted(connector.tools) if not name.startswith("chat.find")])
async def test_a_killed_executor_acts_once(place: Place, tool: str, point: KillPoint, tmp_path: Path) -> None:
    made = world(place, tool)
    assert made.standing is not None
    arguments = await made.arguments(1)  # type: ignore[misc]
    answer = await killed_and_called_again(house_of(connector.tools[tool], made, tmp_path), tool, arguments, point)
    assert answer.error is None, answer.error
    assert await made.standing(arguments) == 1


# The stand-in


async def test_the_vendors_own_client_finds_the_stand_in_to_be_slack(place: Place) -> None:
    def conversation() -> None:
        client = WebClient(token=TOKEN, base_url=place.url)
        metadata = {"event_type": "t", "event_payload": {"a": 1}}
        posted = client.chat_postMessage(channel=GENERAL, text="hi", metadata=metadata)
        client.chat_postMessage(channel=GENERAL, text="re", thread_ts=posted["ts"])
        client.chat_update(channel=GENERAL, ts=posted["ts"], text="ho")
        pages = list(client.conversations_history(channel=GENERAL, limit=1, include_all_metadata=True))
        assert [one["text"] for page in pages for one in page["messages"]] == ["ho"]
        assert pages[0]["messages"][0]["metadata"] == metadata
        assert len(client.conversations_replies(channel=GENERAL, ts=posted["ts"])["messages"]) == 2
        assert len(list(client.conversations_list(limit=2))) > 1
        assert client.users_lookupByEmail(email="ada@acme.example")["user"]["id"] == ADA
        client.conversations_invite(channel=GENERAL, users=[ADA])
        client.conversations_kick(channel=GENERAL, user=ADA)
        assert client.conversations_open(users=[ADA])["channel"]["id"].startswith("D")
        client.chat_delete(channel=GENERAL, ts=posted["ts"])
        with pytest.raises(SlackApiError, match="channel_not_found"):
            client.chat_postMessage(channel="CNONE", text="hi")

    await asyncio.to_thread(conversation)
