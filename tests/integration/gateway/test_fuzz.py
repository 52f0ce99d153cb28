"""Ten thousand requests, most of them wrong: each gets a documented answer, and Kafka then holds exactly
the events that were answered 202."""

import asyncio
import json
import random
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from factotum.events.envelope import Event
from factotum.events.topics import EVENTS
from tests.support.asgi import call
from tests.support.gateway import ACME_TOKEN, Gateway
from tests.support.gateway_attempts import (
    PROBLEMS,
    Accepted,
    Attempt,
    attempts,
    oversized,
)
from tests.support.kafka import read_all


def assert_documented(status: int, content_type: str, body: bytes) -> None:
    if status >= 400:
        assert content_type == "application/problem+json"
        assert json.loads(body)["status"] == status


def note(accepted: Accepted, source: str, body: bytes) -> None:
    for event in json.loads(body)["events"]:
        accepted[(source, event["id"], event["type"])] += 1


async def send(served: Gateway, attempt: Attempt, accepted: Accepted) -> None:
    size = max(1, -(-len(attempt.body) // attempt.pieces))
    chunks = [attempt.body[start : start + size] for start in range(0, len(attempt.body), size)]
    response = await call(served.app, attempt.method, attempt.target, attempt.headers, chunks, cut_off=attempt.cut_off)
    assert response.status in attempt.allowed, (response, attempt)
    assert_documented(response.status, response.headers["content-type"], response.body)
    if response.status == 202:
        note(accepted, attempt.target, response.body)


def on_kafka(kafka: str) -> Accepted:
    found: Accepted = Counter()
    for message in read_all(kafka, EVENTS):
        event = Event.from_bytes(message.value)
        source = event.source if event.source.startswith("/hooks/") else "/v1/events"
        found[(source, event.id, event.type)] += 1
    return found


def examples(count: int) -> Any:
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


async def in_process(served: Gateway, count: int, accepted: Accepted) -> int:
    """Sends `count` generated attempts through the application, eight at a time; returns how many."""
    batch: list[Attempt] = []

    def collect(attempt: Attempt) -> None:
        batch.append(attempt)

    # Generation is synchronous and quick; it is kept apart so that the requests can overlap.
    examples(count)(given(attempts)(collect))()
    examples(max(10, count // 100))(given(oversized())(collect))()
    for start in range(0, len(batch), 8):
        await asyncio.gather(*(send(served, attempt, accepted) for attempt in batch[start : start + 8]))
    return len(batch)


def by_schema(served: Gateway, count: int, accepted: Accepted) -> int:
    """Cases that schemathesis makes from the gateway's own description, right and wrong ones, over the socket."""
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert len(operations) == 6
    sent = 0
    for operation in operations:
        parameterless = operation.path in ("/healthz", "/readyz")  # cannot be called wrongly
        for mode in [GenerationMode.POSITIVE] if parameterless else list(GenerationMode):

            @examples(max(5, count // len(operations) // 2))
            @given(operation.as_strategy(generation_mode=mode))
            def one(case: schemathesis.Case) -> None:
                nonlocal sent
                response = case.call(headers={"Authorization": f"Bearer {ACME_TOKEN}"}, timeout=20)
                if response.status_code == 202:
                    note(accepted, "/v1/events", response.content)
                sent += 1
                assert_documented(response.status_code, response.headers["content-type"][0], response.content)
                if response.status_code != 405:  # a path that became another one, such as /v1/runs/..
                    case.validate_response(
                        response,
                        checks=[
                            schemathesis.checks.not_a_server_error,
                            *(
                                schemathesis.checks.CHECKS.get_one(name)
                                for name in (
                                    "status_code_conformance",
                                    "content_type_conformance",
                                    "response_schema_conformance",
                                )
                            ),
                        ],
                    )

            one()
    return sent


RAW = [
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET / HTTP/9.9\r\nhost: a\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET http://other/healthz/x HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: gzip\r\n\r\na",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    b"POST /hooks/nobody HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: \xff\\x\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\nx: \x00\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\nGARBAGE\r\n\r\n",
]
UNSIGNED = (
    b"POST /hooks/bamboohr HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nx-bamboohr-signature: "
    + b"0" * 64
    + b"\r\nx-bamboohr-timestamp: 1\r\nconnection: close\r\n\r\n{}"
)


async def raw(served: Gateway, sent: bytes, patience: float = 0.3) -> bytes:
    """All that comes back until the server closes, or has been silent for as long as we have patience."""
    reader, writer = await asyncio.open_connection(served.host, served.port)
    received = b""
    try:
        writer.write(sent)
        while chunk := await asyncio.wait_for(reader.read(65536), patience):
            received += chunk
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received


def assert_no_fault(received: bytes, sent: bytes) -> None:
    for line in received.split(b"\r\n"):
        if line.startswith(b"HTTP/1.1 "):
            status = int(line.split(b" ")[1])
            assert status in PROBLEMS | {200}, (line, sent[:300])
            if status >= 400:
                assert b"content-type: application/problem+json" in received, (received, sent[:300])


async def on_the_wire(served: Gateway, count: int) -> int:
    """Bytes that are hardly HTTP."""
    chance = random.Random(2)
    requests = list(RAW)
    for _ in range(count):
        mutated = bytearray(UNSIGNED)
        for _ in range(chance.randint(1, 4)):
            position = chance.randrange(len(mutated))
            if chance.random() < 0.5:
                mutated[position] = chance.randrange(256)
            else:
                del mutated[position]
        requests.append(bytes(mutated))
    for start in range(0, len(requests), 50):
        batch = requests[start : start + 50]
        for sent, received in zip(batch, await asyncio.gather(*(raw(served, it) for it in batch)), strict=True):
            assert_no_fault(received, sent)
    return len(requests)


async def everything(served: Gateway, kafka: str, count: int) -> None:
    accepted: Accepted = Counter()
    before = on_kafka(kafka)
    sent = await in_process(served, count * 88 // 100, accepted)
    sent += await asyncio.to_thread(by_schema, served, count * 10 // 100, accepted)
    sent += await on_the_wire(served, count * 5 // 100)
    assert sent >= count
    assert accepted.total() > count // 10, "the test has lost its teeth: next to nothing was accepted"
    assert on_kafka(kafka) - before == accepted


async def test_a_thousand_requests(served: Gateway, kafka: str) -> None:
    await everything(served, kafka, 1_000)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_thousand_requests(served: Gateway, kafka: str) -> None:
    await everything(served, kafka, 10_000)


@pytest.mark.parametrize("sent", RAW, ids=lambda sent: repr(sent[:40]))
async def test_hardly_http(served: Gateway, sent: bytes) -> None:
    received = await raw(served, sent, patience=1)
    assert_no_fault(received, sent)
    assert received.startswith(b"HTTP/1.1 ") or sent == b"\r\n\r\n"
