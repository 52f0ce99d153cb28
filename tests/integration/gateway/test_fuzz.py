"""Ten thousand requests, most of them wrong: each gets a documented answer, and Kafka then holds exactly
the events that were answered 202."""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from factotum.events.envelope import Event
from factotum.events.topics import EVENTS
from factotum.runtime import clock
from tests.support.asgi import call
from tests.support.gateway import ACME_TOKEN, Gateway, bamboohr_headers, employee_body, standard_headers
from tests.support.kafka import read_all

LIMIT = 1024 * 1024
PROBLEMS = {400, 401, 403, 404, 405, 413}
BEARER = (b"authorization", f"Bearer {ACME_TOKEN}".encode())

Accepted = Counter[tuple[str, str, str]]


@dataclass(frozen=True)
class Attempt:
    """A request and the statuses that may answer it."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]
    body: bytes = field(repr=False)
    allowed: set[int]
    pieces: int = 1
    cut_off: bool = False


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=8)
    | st.sampled_from([10**400, "\ud800", "\x00", "1.0", "2026-11-24T09:00:00Z", "acme", "globex"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
odd_bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [
            b"[" * 5000,
            b'{"a":' * 300 + b"1" + b"}" * 300,
            b'{"employees":' + b"[" * 220 + b"]" * 220 + b"}",
            b'{"type": "t", "data": ' + b"[" * 195 + b"]" * 195 + b"}",
            b'{"type": "t", "data": ' + b"[" * 215 + b"]" * 215 + b"}",
            b'{"type": "t", "data": 1e400}',
            b'{"type": "t", "data": NaN}',
            b'{"type": "t", "type": "u"}',
            b'{"type": "t", "data": ' + b"9" * 5000 + b"}",
            b'{"type": "t", "data": ' + b"9" * 4000 + b"}",
            b'{"type": "\\ud800"}',
            '{"type": "t"}'.encode("utf-16"),
            b"\xef\xbb\xbf{}",
        ]
    ),
)
header_bytes = st.binary(max_size=20) | st.sampled_from([b"\xff\\x", b"\x00", b"%", b"%FF", b"v1,", b"Bearer \xff"])
entries = st.fixed_dictionaries(
    {"id": st.integers(0, 99).map(str) | json_values, "action": st.sampled_from(["Created", "Updated"]) | json_values},
    optional={"changedFields": json_values, "fields": json_values, "timestamp": json_values},
)
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
changes = st.dictionaries(
    st.sampled_from([*EVENT, "tenant", "time", "subject", "datacontenttype", "data", "data_base64", "ext", "Ext", ""]),
    st.sampled_from(["1.0", "acme", "2026-11-24T09:00:00Z", "/hooks/bamboohr", "dev.factotum.outcome.v1"])
    | json_values,
    max_size=3,
)


@st.composite
def webhooks(draw: st.DrawFn) -> Attempt:
    """Signed by its sender: good, mis-typed or malformed."""
    now = clock.now()
    name = draw(st.sampled_from(["bamboohr", "billing"]))
    if name == "bamboohr":
        good = employee_body(str(draw(st.integers(0, 999))), draw(st.sampled_from(["Created", "Updated", "Deleted"])))
        mistyped = st.lists(entries, max_size=3).map(lambda them: json.dumps({"employees": them}).encode())
        body = good if draw(st.booleans()) else draw(mistyped | odd_bodies)
        return Attempt(
            "POST", "/hooks/bamboohr", encoded(bamboohr_headers(body, now)), body, {202} if body == good else {202, 400}
        )
    message_id = f"msg_{draw(st.integers(0, 999))}"
    good = b'{"type": "invoice.paid", "data": {"n": 1}}'
    body = good if draw(st.booleans()) else draw(odd_bodies)
    headers = encoded(standard_headers(body, now, message_id))
    return Attempt("POST", "/hooks/billing", headers, body, {202} if body == good else {202, 400, 401})


@st.composite
def missigned(draw: st.DrawFn) -> Attempt:
    """A good delivery that was changed after it was signed, or signed by somebody else, or long ago."""
    attempt = draw(webhooks())
    headers, body = dict(attempt.headers), bytearray(attempt.body)
    what = draw(st.sampled_from(["body", "header", "missing"]))
    name = draw(st.sampled_from(sorted(set(headers) - {b"content-type"})))
    if what == "body":
        body.insert(draw(st.integers(0, len(body))), draw(st.integers(0, 255)))
    elif what == "header":
        changed = draw(header_bytes)
        headers[name] = headers[name] + b"0" if changed == headers[name] else changed
    else:
        del headers[name]
    return Attempt("POST", attempt.target, list(headers.items()), bytes(body), {401})


@st.composite
def oversized(draw: st.DrawFn) -> Attempt:
    body = b" " * (LIMIT + draw(st.integers(1, 5)))
    target = draw(st.sampled_from(["/hooks/bamboohr", "/hooks/billing", "/v1/events"]))
    declared = draw(st.sampled_from([b"0", b"1", b"-1", b"x", str(len(body)).encode()]))
    return Attempt("POST", target, [BEARER, (b"content-length", declared)], body, {413}, pieces=3)


@st.composite
def structured(draw: st.DrawFn) -> Attempt:
    content_type = draw(
        st.sampled_from([b"application/cloudevents+json", b"application/cloudevents-batch+json; charset=utf-8"])
    )
    event: Any = {**EVENT, "id": str(draw(st.integers(0, 10**9))), **draw(changes)}
    for name in draw(st.sets(st.sampled_from(sorted(EVENT)), max_size=1)):
        del event[name]
    body = json.dumps([event] if b"batch" in content_type else event).encode()
    body = draw(odd_bodies) if draw(st.integers(0, 4)) == 0 else body
    return Attempt("POST", "/v1/events", [BEARER, (b"content-type", content_type)], body, {202, 400, 403})


@st.composite
def binary(draw: st.DrawFn) -> Attempt:
    headers = {f"ce-{name}".encode(): value.encode() for name, value in EVENT.items()}
    headers[b"ce-id"] = str(draw(st.integers(0, 10**9))).encode()
    names = [*headers, b"ce-tenant", b"ce-time", b"ce-data", b"ce-", b"ce-x\xff", b"content-type"]
    values = (
        st.sampled_from([b"1.0", b"acme", b"globex", b"application/json", b"text/plain", b"image/png"]) | header_bytes
    )
    headers.update(draw(st.dictionaries(st.sampled_from(names), values, max_size=2)))
    return Attempt("POST", "/v1/events", [BEARER, *headers.items()], draw(odd_bodies | st.just(b"{}")), {202, 400, 403})


@st.composite
def anything(draw: st.DrawFn) -> Attempt:
    """Any method, path, headers and body: never an event, since nothing is authenticated."""
    path = draw(
        st.sampled_from(
            [
                "/",
                "/hooks/bamboohr",
                "/hooks/nobody",
                "/hooks/%FF",
                "/hooks/",
                "/v1/events",
                "/v1/runs",
                "/v1/runs/x",
                "//",
            ]
        )
        | st.text(max_size=20).map(lambda text: "/" + text.encode("unicode_escape").decode())
    )
    names = st.sampled_from(
        [b"host", b"content-type", b"authorization", b"traceparent", b"baggage", b"cookie", b"x\xff"]
    )
    return Attempt(
        draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "FOO", "post"])),
        path,
        draw(st.lists(st.tuples(names, header_bytes), max_size=4)),
        draw(odd_bodies),
        PROBLEMS - {413},
    )


@st.composite
def queries(draw: st.DrawFn) -> Attempt:
    target = draw(st.sampled_from(["/v1/runs?limit=", "/v1/runs?procedure=", "/v1/runs/"]))
    target += draw(st.sampled_from(["1", "0", "501", "9" * 5000, "%00", "%FF", "%ED%A0%80", "a/b", "é", "1&limit=2"]))
    return Attempt("GET", target, [BEARER], b"", {200, 400, 404})


@st.composite
def cut_off(draw: st.DrawFn) -> Attempt:
    attempt = draw(webhooks() | structured())
    return Attempt("POST", attempt.target, attempt.headers, attempt.body, {400}, pieces=2, cut_off=True)


attempts = st.one_of(
    webhooks(),
    missigned(),
    missigned(),
    structured(),
    structured(),
    binary(),
    binary(),
    anything(),
    queries(),
    cut_off(),
)


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


@pytest.mark.timeout(600)
async def test_ten_thousand_requests(served: Gateway, kafka: str) -> None:
    await everything(served, kafka, 10_000)


@pytest.mark.parametrize("sent", RAW, ids=lambda sent: repr(sent[:40]))
async def test_hardly_http(served: Gateway, sent: bytes) -> None:
    received = await raw(served, sent, patience=1)
    assert_no_fault(received, sent)
    assert received.startswith(b"HTTP/1.1 ") or sent == b"\r\n\r\n"
