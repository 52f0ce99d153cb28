"""a2a.call against an agent on loopback that speaks JSON-RPC and streams events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from factotum.connectors.protocols.a2a import A2aCall, A2aSettings, call
from factotum.sdk.errors import Ambiguous, Failed, NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from tests.support.served_app import served_app
from tests.support.tool_calls import closed_port, tool_context

HELLO = {"message": {"parts": [{"kind": "text", "text": "hello"}]}}


class Agent:
    """Answers what it was asked; `card` is what its card says beside its name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.card: dict[str, Any] = {"url": f"{url}/rpc"}
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []

    def app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.get("/card")
        def card() -> dict[str, Any]:
            return {"name": "echo", **self.card}

        @app.post("/rpc")
        async def rpc(request: Request) -> Response:
            asked = await request.json()
            self.requests.append((dict(request.headers), asked))
            match asked["method"]:
                case "message/stream":
                    return _events({"n": 1}, {"n": 2})
                case "tasks/resubscribe":
                    return _events({"n": 1}, error={"code": -32001, "message": "gone"})
                case "tasks/cancel":
                    return _answer(error={"code": -32002, "message": "already done"})
                case "tasks/list":
                    return _answer(error={"code": -32603, "message": "out of order"})
                case "tasks/get":
                    return Response("no such door", status_code=403)
                case "tasks/pushNotificationConfig/list":
                    return Response("[" + "1," * 2000 + "1]", media_type="application/json")
                case _:
                    return _answer(result={"kind": "message", "of": asked["params"]})

        return app


def _answer(**members: Any) -> Response:
    return Response(json.dumps({"jsonrpc": "2.0", "id": 1, **members}), media_type="application/json")


def _events(*results: Any, error: Any = None) -> Response:
    said = [{"result": result} for result in results] + ([{"error": error}] if error else [])
    text = "".join(f"data: {json.dumps({'jsonrpc': '2.0', 'id': 1, **one})}\n\n" for one in said)
    return Response(text, media_type="text/event-stream")


@pytest_asyncio.fixture(scope="module")
async def served() -> AsyncIterator[Agent]:
    agent = Agent("")
    async with served_app(lambda _: agent.app()) as agent.url:
        yield agent


@pytest.fixture
def agent(served: Agent) -> Agent:
    served.requests.clear()
    served.card = {"url": f"{served.url}/rpc"}
    return served


async def ask(agent: Agent, method: str, *, allow: list[str] | None = None, limit: int = 4096, **arguments: Any) -> Any:
    settings = A2aSettings(allow=[agent.url] if allow is None else allow, max_bytes=limit, timeout=5)
    arguments = arguments or {"server": f"{agent.url}/rpc"}
    asked = A2aCall.model_validate({"method": method, "parameters": HELLO, **arguments})
    return (await call.function(asked, tool_context(settings))).root


async def test_a_message_is_given_an_id_of_the_call_and_a_role(agent: Agent) -> None:
    first = await ask(agent, "message/send")
    again = await ask(agent, "message/send")
    message = first["of"]["message"]
    assert message["role"] == "user" and message["parts"] == HELLO["message"]["parts"]
    assert message["messageId"] == again["of"]["message"]["messageId"] != ""


async def test_what_the_document_says_of_a_message_stands(agent: Agent) -> None:
    parameters = {"message": {"messageId": "m-1", "role": "agent", "parts": []}}
    answer = await ask(agent, "message/send", server=f"{agent.url}/rpc", parameters=parameters)
    assert (answer["of"]["message"]["messageId"], answer["of"]["message"]["role"]) == ("m-1", "agent")


async def test_a_stream_is_the_array_of_its_results(agent: Agent) -> None:
    assert await ask(agent, "message/stream") == [{"n": 1}, {"n": 2}]


async def test_an_error_after_the_first_result_leaves_the_effect_possible(agent: Agent) -> None:
    with pytest.raises(Failed, match="gone") as caught:
        await ask(agent, "tasks/resubscribe")
    assert caught.value.effect_possible


async def test_an_agent_is_found_by_its_card_and_its_own_origin_is_shown_the_credentials(agent: Agent) -> None:
    endpoint = {"uri": f"{agent.url}/card", "authentication": {"bearer": {"token": "t0ken"}}}
    await ask(agent, "message/send", agentCard={"endpoint": endpoint})
    assert agent.requests[-1][0]["authorization"] == "Bearer t0ken"


async def test_another_origin_that_a_card_names_is_shown_no_credentials(agent: Agent) -> None:
    other = agent.url.replace("127.0.0.1", "localhost")
    agent.card = {"url": "grpc://x", "preferredTransport": "GRPC"}
    agent.card["additionalInterfaces"] = [{"url": f"{other}/rpc", "transport": "JSONRPC"}]
    endpoint = {"uri": f"{agent.url}/card", "authentication": {"bearer": {"token": "t0ken"}}}
    await ask(agent, "message/send", agentCard={"endpoint": endpoint}, allow=[agent.url, other])
    assert "authorization" not in agent.requests[-1][0]
    with pytest.raises(NotPermitted, match=r"tenants\.acme\.a2a\.allow"):
        await ask(agent, "message/send", agentCard={"endpoint": endpoint})


async def test_a_card_without_an_interface_that_is_spoken(agent: Agent) -> None:
    agent.card = {"supportedInterfaces": [{"url": agent.url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]}
    with pytest.raises(Failed, match=r"no JSON-RPC interface of A2A 0\.3") as caught:
        await ask(agent, "message/send", agentCard={"endpoint": f"{agent.url}/card"})
    assert not caught.value.effect_possible


@pytest.mark.parametrize(("method", "possible"), [("tasks/cancel", False), ("tasks/list", True)])
async def test_what_an_error_says_of_the_effect(agent: Agent, method: str, possible: bool) -> None:
    with pytest.raises(Failed) as caught:
        await ask(agent, method)
    assert caught.value.effect_possible is possible


async def test_a_refusal_by_http(agent: Agent) -> None:
    with pytest.raises(NotPermitted, match="no such door") as caught:
        await ask(agent, "tasks/get")
    assert caught.value.status == 403


async def test_an_answer_is_bounded(agent: Agent) -> None:
    with pytest.raises(Failed, match="1024 bytes"):
        await ask(agent, "tasks/pushNotificationConfig/list", limit=1024)
    with pytest.raises(Failed, match="more than the tenant's"):
        await ask(agent, "message/stream", limit=60)


async def test_nothing_is_reached_that_is_not_allowed(agent: Agent) -> None:
    with pytest.raises(NotPermitted) as caught:
        await ask(agent, "message/send", allow=[])
    assert not caught.value.effect_possible and agent.requests == []


async def test_an_agent_that_is_not_there() -> None:
    nobody = Agent(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(Unavailable) as caught:
        await ask(nobody, "message/send")
    assert not caught.value.effect_possible


async def test_reads_are_no_effects() -> None:
    assert call.narrower is not None
    context = tool_context(A2aSettings())
    for method, expected in {
        "tasks/get": (Effect.NONE, Idempotency.NATIVE),
        "message/send": (Effect.EXECUTE, Idempotency.RECONCILE),
        "tasks/cancel": (Effect.EXECUTE, Idempotency.RECONCILE),
    }.items():
        asked = A2aCall.model_validate({"method": method, "server": "http://x"})
        assert await call.narrower(asked, context) == expected


def test_an_agent_has_to_be_named() -> None:
    with pytest.raises(ValueError, match="agentCard or a server"):
        A2aCall.model_validate({"method": "tasks/list"})


async def test_nobody_can_be_asked_what_became_of_a_message(agent: Agent) -> None:
    asked = A2aCall.model_validate({"method": "message/send", "server": agent.url})
    assert call.reconciler is not None
    with pytest.raises(Ambiguous):
        await call.reconciler(asked, tool_context(A2aSettings()))
