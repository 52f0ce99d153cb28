"""Requests to the gateway, right and wrong, with the statuses that may answer them."""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from factotum.runtime import clock
from tests.support.gateway import ACME_TOKEN, bamboohr_headers, employee_body, standard_headers

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
