"""asyncapi.publish and asyncapi.receive against an embedded Kafka and a web server, by documents of both versions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import yaml
from fastapi import FastAPI, Request, Response

from factotum.connectors.protocols import asyncapi_kafka
from factotum.connectors.protocols.asyncapi import AsyncapiSettings, Publication, Reception, publish, receive
from factotum.sdk.errors import Ambiguous, InvalidArgument, NotFound, NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from tests.support.kafka import embedded_kafka, read_all
from tests.support.served_app import served_app
from tests.support.tool_calls import NOW, closed_port, tool_context

TOPICS = ("greetings", "chat", "chat.again", "looked.through")


@dataclass
class Web:
    """Serves documents, takes posts, streams events, and answers a poll with `answer`."""

    url: str = ""
    documents: dict[str, Any] = field(default_factory=dict)
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    answer: Response = field(default_factory=Response)
    polls: list[dict[str, str]] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/documents/{name}")
        def document(name: str) -> Response:
            found = self.documents[name]
            if isinstance(found, str):
                return Response(found)
            return Response(json.dumps(found) if name.endswith(".json") else yaml.safe_dump(found, sort_keys=False))

        @app.api_route("/hello/{name}", methods=["POST", "PUT"])
        async def hello(name: str, request: Request) -> Response:
            self.posts.append((f"{request.method} {name}", dict(request.headers), await request.body()))
            return Response('{"said": "hello"}', int(name) if name.isdecimal() else 201, media_type="application/json")

        @app.get("/events")
        async def events(request: Request) -> Response:
            after = request.headers.get("last-event-id", "0")
            text = "".join(f"id: {key}\ndata: {data}\n\n" for key, data in self.events if key > after)
            return Response(text, media_type="text/event-stream")

        @app.get("/state")
        async def state(request: Request) -> Response:
            self.polls.append(dict(request.headers))
            etag = self.answer.headers.get("etag")
            if etag and request.headers.get("if-none-match") == etag:
                return Response(status_code=304)
            return Response(self.answer.body, self.answer.status_code, dict(self.answer.headers))

        return app


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with embedded_kafka(TOPICS) as servers:
        yield servers


@pytest_asyncio.fixture(scope="module")
async def web(kafka: str) -> AsyncIterator[Web]:
    web = Web()
    async with served_app(lambda _: web.app()) as web.url:
        host = web.url.partition("://")[2]
        web.documents["three.yaml"] = third(host, kafka)
        web.documents["two.json"] = second(host, kafka)
        yield web


def third(host: str, kafka: str) -> dict[str, Any]:
    correlated = {"correlationId": {"location": "$message.header#/thread"}}
    topics = {
        name.replace(".", "_"): {
            "address": name,
            "servers": [{"$ref": "#/servers/broker"}],
            "messages": {"it": {"$ref": "#/components/messages/it"}},
        }
        for name in (*TOPICS, "nowhere")
    }
    return {
        "asyncapi": "3.0.0",
        "servers": {
            "far": {"host": "broker.example.com:9092", "protocol": "kafka"},
            "broker": {"host": kafka, "protocol": "kafka"},
            "web": {
                "host": "{name}:" + host.partition(":")[2],
                "pathname": "/hello",
                "protocol": "http",
                "variables": {"name": {"default": "nobody", "enum": ["nobody", "127.0.0.1"]}},
            },
            "queue": {"host": "mq.example.com", "protocol": "amqp"},
        },
        "channels": {
            **topics,
            "door": {
                "address": "/{who}",
                "parameters": {"who": {"default": "ada"}},
                "servers": [{"$ref": "#/servers/web"}],
            },
            "any": {"address": "anything"},
        },
        "operations": {
            **{name: {"action": "send", "channel": {"$ref": f"#/channels/{name}"}} for name in topics},
            "knock": {"action": "receive", "channel": {"$ref": "#/channels/door"}},
            "put": {
                "action": "receive",
                "channel": {"$ref": "#/channels/door"},
                "bindings": {"http": {"method": "put"}},
            },
            "any": {"action": "receive", "channel": {"$ref": "#/channels/any"}},
            "lost": {"action": "receive", "channel": {"$ref": "https://elsewhere.example/x.yaml#/channels/x"}},
            "round": {"$ref": "#/operations/round"},
        },
        "components": {"messages": {"it": correlated}},
    }


def second(host: str, kafka: str) -> dict[str, Any]:
    return {
        "asyncapi": "2.6.0",
        "defaultContentType": "application/json",
        "servers": {
            "broker": {"url": f"kafka://{kafka}", "protocol": "kafka"},
            "web": {"url": f"http://{host}", "protocol": "http"},
        },
        "channels": {
            "greetings": {"publish": {}, "servers": ["broker"]},
            "/events": {"subscribe": {}, "servers": ["web"]},
            "/state": {"subscribe": {}, "servers": ["web"]},
            "/hello/409": {"publish": {}, "servers": ["web"]},
            "/hello/503": {"publish": {}, "servers": ["web"]},
        },
    }


def arguments(web: Web, given: dict[str, Any]) -> dict[str, Any]:
    name = "two.json" if "channel" in given else "three.yaml"
    return {"document": {"endpoint": f"{web.url}/documents/{name}"}, **given}


def context(web: Web, key: str = "key-1", **given: Any) -> Any:
    settings = AsyncapiSettings(**{"allow": ["http://127.0.0.1:*", "kafka://127.0.0.1:*"], "timeout": 5, **given})
    return tool_context(settings, key=key)


async def say(web: Web, payload: Any = None, *, key: str = "key-1", headers: Any = None, **given: Any) -> Any:
    message = {"payload": payload, "headers": headers or {}}
    asked = Publication.model_validate(arguments(web, given | {"message": message}))
    return await publish.function(asked, context(web, key))


async def hear(web: Web, *, allow: Any = None, **given: Any) -> Any:
    asked = Reception.model_validate(arguments(web, {"wait_seconds": 0, **given}))
    return await receive.function(asked, context(web, **({"allow": allow} if allow is not None else {})))


async def test_a_message_is_published_to_a_topic_with_its_key(web: Web, kafka: str) -> None:
    for given in ({"operation": "greetings"}, {"channel": "greetings"}):
        receipt = await say(web, {"greetings": "Hi"}, headers={"foo": "bar", "n": 1}, **given)
        sent = read_all(kafka, "greetings")[-1]
        assert json.loads(sent.value) == {"greetings": "Hi"}
        assert sent.headers == {"foo": b"bar", "n": b"1", "idempotency-key": b"key-1"}
        assert receipt.offset is not None and receipt.partition is not None


async def test_nothing_is_lost_or_read_twice_between_two_receptions(web: Web) -> None:
    await say(web, "before", operation="chat")
    first = await hear(web, operation="chat")
    assert first.messages == [], "what was there before is not of this subscription"
    for number in range(5):
        await say(web, {"n": number}, headers={"thread": "t-1"}, operation="chat")
    heard, cursor = [], first.cursor
    while len(heard) < 5:
        some = await hear(web, operation="chat", cursor=cursor, max_messages=2, wait_seconds=5)
        assert 0 < len(some.messages) <= 2
        heard, cursor = heard + some.messages, some.cursor
    assert sorted(message.payload["n"] for message in heard) == [0, 1, 2, 3, 4]
    assert {message.correlationId for message in heard} == {"t-1"}
    assert heard[0].headers["thread"] == "t-1"
    assert (await hear(web, operation="chat", cursor=cursor)).messages == []


async def test_a_reception_waits_for_the_first_message(web: Web) -> None:
    cursor = (await hear(web, operation="chat_again")).cursor
    waiting = asyncio.create_task(hear(web, operation="chat_again", cursor=cursor, wait_seconds=20))
    await asyncio.sleep(0.5)
    await say(web, "now", operation="chat_again")
    heard = await asyncio.wait_for(waiting, 10)
    assert [(message.payload, message.correlationId) for message in heard.messages] == [("now", None)]


async def test_a_topic_is_asked_for_what_became_of_a_publication(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    async def find(key: str, started_at: datetime = NOW) -> Any:
        asked = Publication.model_validate(arguments(web, {"operation": "looked_through", "message": {"payload": 1}}))
        assert publish.reconciler is not None
        return await publish.reconciler(asked, replace(context(web, key), started_at=started_at))

    receipt = await say(web, 1, key="mine", operation="looked_through")
    for number in range(9):
        await say(web, number, key=f"another-{number}", operation="looked_through")
    assert await find("mine") == receipt
    assert await find("nobody's") is None
    monkeypatch.setattr(asyncapi_kafka, "LOOKED_THROUGH", 1)
    with pytest.raises(Ambiguous, match="cannot be looked through"):
        await find("nobody's")
    later = datetime.now(UTC) + timedelta(hours=1)
    assert await find("nobody's", started_at=later) is None, "what was seen is older than the call"


async def test_a_message_is_posted_as_the_document_says(web: Web) -> None:
    server = {"name": "web", "variables": {"name": "127.0.0.1"}}
    receipt = await say(web, "hello", headers={"foo": "bar"}, operation="knock", server=server)
    assert (receipt.statusCode, receipt.content) == (201, {"said": "hello"})
    where, headers, body = web.posts[-1]
    assert where == "POST ada" and json.loads(body) == "hello"
    assert headers["foo"] == "bar" and headers["content-type"] == "application/json" and headers["idempotency-key"]
    await say(web, "hello", headers={"Idempotency-Key": "own"}, operation="put", server=server)
    assert web.posts[-1][0] == "PUT ada" and web.posts[-1][1]["idempotency-key"] == "own"


async def test_a_refused_post_says_what_it_says_of_the_effect(web: Web) -> None:
    with pytest.raises(Unavailable) as caught:
        await say(web, 1, channel="/hello/503")
    assert caught.value.effect_possible
    asked = Publication.model_validate(arguments(web, {"channel": "/hello/503", "message": {}}))
    assert publish.reconciler is not None
    with pytest.raises(Ambiguous):
        await publish.reconciler(asked, context(web))


async def test_what_a_publication_does_is_said_by_its_protocol(web: Web) -> None:
    async def narrowed(**given: Any) -> Any:
        assert publish.narrower is not None
        return await publish.narrower(Publication.model_validate(arguments(web, given)), context(web))

    message = {"message": {"payload": 1}}
    server = {"server": {"name": "web", "variables": {"name": "127.0.0.1"}}}
    assert await narrowed(operation="greetings", **message) == (Effect.EXECUTE, Idempotency.RECONCILE)
    assert await narrowed(operation="knock", **message, **server) == (Effect.EXECUTE, Idempotency.RECONCILE)
    assert (await narrowed(operation="put", **message, **server))[1] is Idempotency.NATIVE
    for key, idempotency in (("k", Idempotency.NATIVE), ("", Idempotency.RECONCILE), (None, Idempotency.RECONCILE)):
        keyed = {"message": {"payload": 1, "headers": {"Idempotency-Key": key}}}
        assert await narrowed(operation="knock", **keyed, **server) == (Effect.EXECUTE, idempotency)


async def test_events_go_on_after_the_last_that_was_seen(web: Web) -> None:
    web.events = [("1", '{"n": 1}'), ("2", '{"n": 2}'), ("3", '{"n": 3}')]
    first = await hear(web, channel="/events", max_messages=2)
    second = await hear(web, channel="/events", cursor=first.cursor)
    assert [m.payload for m in (*first.messages, *second.messages)] == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert (await hear(web, channel="/events", cursor=second.cursor)).messages == []


async def test_a_polled_answer_is_a_message_when_it_is_another_one(web: Web) -> None:
    web.answer = Response('{"state": 1}', media_type="application/json")
    first = await hear(web, channel="/state")
    assert [message.payload for message in first.messages] == [{"state": 1}]
    again = await hear(web, channel="/state", cursor=first.cursor)
    assert again.messages == []
    web.answer = Response('{"state": 2}', media_type="application/json", headers={"ETag": '"2"'})
    other = await hear(web, channel="/state", cursor=again.cursor)
    assert [message.payload for message in other.messages] == [{"state": 2}]
    assert (await hear(web, channel="/state", cursor=other.cursor)).messages == []
    assert web.polls[-1]["if-none-match"] == '"2"'


async def test_what_is_not_in_the_document_is_named(web: Web) -> None:
    for given, words in (
        ({"operation": "shout"}, "called by `operation`; it has any, chat"),
        ({"channel": "shout"}, "called by `channel`; it has"),
        ({"channel": "/events"}, "no operation `publish`"),
        ({"operation": "knock", "server": {"name": "broker"}}, "has the servers web"),
        ({"operation": "greetings", "protocol": "http"}, "no server of protocol http"),
        ({"operation": "any", "protocol": "amqp"}, "amqp is not spoken; there are http, https, kafka"),
        ({"operation": "knock", "server": {"name": "web", "variables": {"name": "evil.example"}}}, "is one of"),
        ({"operation": "lost"}, "leaves the AsyncAPI document"),
        ({"operation": "round"}, "in a circle"),
    ):
        with pytest.raises(InvalidArgument, match=words):
            await say(web, 1, **given)
    with pytest.raises(NotFound, match="no topic nowhere"):
        await say(web, 1, operation="nowhere")
    with pytest.raises(InvalidArgument, match="cursor"):
        await hear(web, operation="chat", cursor="bm9uZQ==")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: [",
        "just a text",
        '{"asyncapi": "1.2.0"}',
        "&a [*a]",
        '{"asyncapi": "3.0.0", "operations": 1}',
    ],
)
async def test_what_is_no_document(web: Web, text: str) -> None:
    web.documents["broken"] = text
    with pytest.raises(InvalidArgument) as caught:
        await say(web, 1, operation="knock", document={"endpoint": f"{web.url}/documents/broken"})
    assert not caught.value.effect_possible


async def test_nothing_is_reached_that_is_not_allowed(web: Web) -> None:
    only_web = ["http://127.0.0.1:*"]
    with pytest.raises(NotPermitted, match=r"kafka://127\.0\.0\.1"):
        await hear(web, operation="chat", allow=only_web)
    with pytest.raises(NotPermitted, match=r"kafka://broker\.example\.com:9092"):
        await hear(web, operation="any", server={"name": "far"})
    with pytest.raises(NotPermitted):
        await hear(web, channel="/events", allow=[])


async def test_a_broker_that_its_cluster_names_has_to_be_allowed_too(web: Web, kafka: str) -> None:
    port = kafka.partition(":")[2]
    web.documents["three.yaml"]["servers"]["broker"]["host"] = f"localhost:{port}"
    try:
        with pytest.raises(NotPermitted, match=r"kafka://127\.0\.0\.1"):
            await hear(web, operation="chat", allow=["http://127.0.0.1:*", f"kafka://localhost:{port}"])
    finally:
        web.documents["three.yaml"]["servers"]["broker"]["host"] = kafka


async def test_a_broker_that_is_not_there(web: Web, kafka: str) -> None:
    web.documents["three.yaml"]["servers"]["broker"]["host"] = f"127.0.0.1:{closed_port()}"
    try:
        with pytest.raises(Unavailable) as caught:
            await say(web, 1, operation="chat")
        assert not caught.value.effect_possible
    finally:
        web.documents["three.yaml"]["servers"]["broker"]["host"] = kafka
