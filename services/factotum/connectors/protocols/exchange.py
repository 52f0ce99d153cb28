"""One request over HTTP and what a procedure is told of its answer. Shared by `http.request` and `openapi.call`."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

import httpx2
from pydantic import RootModel
from pydantic_core import from_json

from factotum.connectors.protocols.egress import Egress, EgressSettings, guarded_client
from factotum.sdk.errors import Ambiguous, Failed, InvalidArgument, NotPermitted
from factotum.sdk.http import reaching, refusal
from factotum.sdk.spec import Effect, Idempotency

Output = Literal["raw", "content", "response"]

FORM = "application/x-www-form-urlencoded"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 §9.2: what a method does, and whether doing it again does more.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_IDEMPOTENT = {"PUT": Effect.UPDATE, "DELETE": Effect.DELETE}
# The client frames the message and says whom it is for: a header that says otherwise would get past the allow-list.
_CLIENTS_OWN = frozenset({"connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"})
# By which many servers take a request for one of another method than was judged and permitted.
_OTHER_METHOD = frozenset({"x-http-method", "x-http-method-override", "x-method-override"})
_CONFIDENTIAL = re.compile(r"authorization|cookie|token|secret|api-?key|password|signature", re.IGNORECASE)
_TEXT = re.compile(r"text/.*|.*[/+](xml|yaml|javascript)|application/(x-ndjson|x-www-form-urlencoded|graphql)")
_JSON = re.compile(r".*[/+]json")


class Result(RootModel[Any]):
    """What `output` asks for: the content, its base64, or `{request, statusCode, headers, content}`."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request. `url` has no credentials."""

    method: str
    url: httpx2.URL
    headers: list[tuple[str, str]] = field(default_factory=list)
    content: bytes | None = None


def nature(method: str, headers: Mapping[str, Any]) -> tuple[Effect, Idempotency]:
    """What a request does and whether it can be done again: by its method, or by the `Idempotency-Key` by which
    its author says that the system knows a repetition (draft-ietf-httpapi-idempotency-key-header). One that is null
    or empty says nothing."""
    method = method.upper()
    if method in _SAFE:
        return Effect.NONE, Idempotency.NATIVE
    if method in _IDEMPOTENT:
        return _IDEMPOTENT[method], Idempotency.NATIVE
    if any(name.lower() == "idempotency-key" and _is_key(value) for name, value in headers.items()):
        return Effect.EXECUTE, Idempotency.NATIVE
    return Effect.EXECUTE, Idempotency.RECONCILE


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and text(value).strip() != ""


def unknowable(method: str) -> Ambiguous:
    """The answer of a reconciler: HTTP has no question of what became of a request."""
    return Ambiguous(
        f"whether a {method.upper()} was carried out cannot be asked. Where the system knows a repetition by an "
        "Idempotency-Key, send that header"
    )


def address(text: str) -> httpx2.URL:
    """Raises `InvalidArgument` unless it is the address of something on HTTP, without credentials."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL as error:
        raise InvalidArgument(f"the endpoint is no URL: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidArgument("the endpoint must begin with http:// or https:// and name a host")
    if url.userinfo:
        raise InvalidArgument("the endpoint holds credentials: give them as authentication")
    return url.copy_with(fragment=None)


def with_query(url: httpx2.URL, query: Mapping[str, Any]) -> httpx2.URL:
    """The address with parameters put in place of those of the same name: a list gives one each, null none."""
    if not query:
        return url
    kept = [(name, value) for name, value in url.params.multi_items() if name not in query]
    return url.copy_with(params=[*kept, *pairs(query)])


def pairs(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names with the texts of their values, for a query or a form."""
    found: list[tuple[str, str]] = []
    for name, value in values.items():
        found.extend((name, text(one)) for one in (value if isinstance(value, list) else [value]) if one is not None)
    return found


def text(value: Any) -> str:
    """A value as it is written into an address or a header: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def checked_headers(headers: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Raises `InvalidArgument` naming the header, never its value."""
    found: list[tuple[str, str]] = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise InvalidArgument(f"{name!r} is no name of a header")
        if name.lower() in _CLIENTS_OWN:
            raise InvalidArgument(f"the header {name} is set by the client itself: leave it out")
        if name.lower() in _OTHER_METHOD:
            raise InvalidArgument(f"the header {name} asks for another method: give that as the request's own")
        written = text(value)
        if any((character < " " and character != "\t") or character == "\x7f" for character in written):
            raise InvalidArgument(f"the header {name} holds a control character")
        if value is not None:
            found.append((name, written))
    return found


def form(fields: list[tuple[str, str]]) -> bytes:
    return urlencode(fields).encode()


def body(value: Any, headers: list[tuple[str, str]]) -> tuple[bytes, list[tuple[str, str]]]:
    """The bytes of a body, and the headers with its type. A text is sent as it is; all else is written as the
    content type says, JSON if there is none. Raises `InvalidArgument` for a type it cannot be written as."""
    given = next((value for name, value in headers if name.lower() == "content-type"), "")
    kind = given.partition(";")[0].strip().lower()
    if isinstance(value, str):
        return value.encode(), headers if given else [*headers, ("Content-Type", "text/plain; charset=utf-8")]
    if kind == FORM and isinstance(value, dict):
        return form(pairs(value)), headers
    if kind and not _JSON.fullmatch(kind):
        raise InvalidArgument(f"a body of the type {kind} must be a text; give a value for JSON or {FORM}")
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return written, headers if given else [*headers, ("Content-Type", "application/json")]


def is_json(kind: str) -> bool:
    return _JSON.fullmatch(kind.partition(";")[0].strip().lower()) is not None


def is_text(kind: str) -> bool:
    return _TEXT.fullmatch(kind.partition(";")[0].strip().lower()) is not None


async def exchange(
    sending: Sending,
    *,
    auth: httpx2.Auth | None,
    egress: Egress,
    settings: EgressSettings,
    output: Output,
    redirect: bool,
    now: datetime,
) -> Result:
    """Sends the request; the answer's content as `output` says.

    A status outside of 200 to 299 is an error. With `redirect`, redirections are followed as RFC 9110 §15.4 says,
    each to an allowed origin only, and what remains of 300 to 399 (a 304, one without a Location) is no error. To
    another origin than the first goes no confidential header, and no body.

    Raises the error that the status means, with the status; `NotPermitted` for what may not be reached, and for a
    body that is redirected to another origin; `Unavailable` without an answer; `Failed` for one that is too large.
    """

    async def kept_back(request: httpx2.Request) -> None:
        if not _goes_on(sending.url, request.url):
            _strip(request)

    async with guarded_client(egress, timeout=settings.timeout, auth=auth, follow_redirects=redirect) as http:
        http.event_hooks = {"request": [kept_back]}
        request = http.build_request(
            sending.method, sending.url, headers=[_encoded(pair) for pair in sending.headers], content=sending.content
        )
        where = f"{sending.method} {_shown(sending.url)}"
        with reaching(where):
            try:
                response = await http.send(request, stream=True)
            except httpx2.TooManyRedirects as error:
                raise Failed(f"{where} is redirected without end") from error
            except httpx2.LocalProtocolError:
                # Without its words, which hold the header that cannot be written.
                raise InvalidArgument(
                    f"{where} cannot be written as HTTP: look at its headers and credentials"
                ) from None
            try:
                content = await _read(response, where, settings.max_bytes)
            finally:
                await response.aclose()
    accepted = response.is_success or (redirect and 300 <= response.status_code <= 399)
    if not accepted:
        refused = refusal(where, response, _words(response, content), now=now)
        if 301 <= response.status_code <= 303 and sending.method not in _SAFE:
            # A form is often answered like this once it was taken.
            refused.effect_possible = True
        raise refused
    return Result(_told(response, content, output))


def _goes_on(first: httpx2.URL, url: httpx2.URL) -> bool:
    """Whether a redirection stays with whom the request was meant for: its origin, or the same host on HTTPS."""
    if url.origin == first.origin:
        return True
    upgraded = (first.scheme, url.scheme, first.port, url.port) == ("http", "https", None, None)
    return upgraded and url.host == first.host


def _strip(request: httpx2.Request) -> None:
    """Raises `NotPermitted` for a request with a body: it was meant for another."""
    if request.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in request.headers:
        raise NotPermitted(
            f"the request is redirected with its body to {_shown(request.url)}, another origin: give that as the "
            "endpoint if it is meant",
            effect_possible=True,
        )
    for name in [name for name in request.headers if _CONFIDENTIAL.search(name)]:
        del request.headers[name]


def _told(response: httpx2.Response, content: bytes, output: Output) -> Any:
    if output == "raw":
        return base64.b64encode(content).decode() if content else None
    if output == "content":
        return deserialised(content, response.headers.get("Content-Type", ""))
    asked = response.request
    return {
        "request": {"method": asked.method, "uri": str(asked.url), "headers": _open(asked.headers)},
        "statusCode": response.status_code,
        "headers": _joined(response.headers),
        "content": deserialised(content, response.headers.get("Content-Type", "")),
    }


def deserialised(content: bytes, content_type: str) -> Any:
    """JSON as its value, text as text, all else as base64; null for nothing. What says that it is JSON and
    is not is text; what says nothing is text if it can be."""
    if not content:
        return None
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if _JSON.fullmatch(kind):
        try:
            return from_json(content, allow_inf_nan=False)
        except ValueError:
            return content.decode("utf-8", "replace")
    if _TEXT.fullmatch(kind):
        return _decoded(content, parameters)
    if not kind:
        try:
            return content.decode()
        except UnicodeDecodeError:
            pass
    return base64.b64encode(content).decode()


async def _read(response: httpx2.Response, where: str, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > limit:
            raise Failed(
                f"{where} answers more than {limit} bytes: ask for less, by pages or a filter, or raise max_bytes "
                "in the tenant's settings",
                status=response.status_code,
            )
        pieces.append(piece)
    return b"".join(pieces)


def _words(response: httpx2.Response, content: bytes) -> str:
    """The system's own explanation: of a JSON answer what explains it by its name (RFC 9457 and its like)."""
    found = deserialised(content, response.headers.get("Content-Type", ""))
    if isinstance(found, dict):
        named = [found[key] for key in ("title", "detail", "error", "error_description", "message") if found.get(key)]
        return " ".join(one for one in named if isinstance(one, str)) or json.dumps(found, ensure_ascii=False)
    if "html" in response.headers.get("Content-Type", "").lower() or found is None:
        return ""
    return text(found)


def _decoded(content: bytes, parameters: str) -> str:
    charset = re.search(r"charset=\"?([\w.:-]+)", parameters, re.IGNORECASE)
    try:
        return content.decode(charset.group(1) if charset else "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _shown(url: httpx2.URL) -> str:
    """Without the query, which may be confidential."""
    return str(url.copy_with(query=None))


def _open(headers: httpx2.Headers) -> dict[str, str]:
    return {name: value for name, value in _joined(headers).items() if not _CONFIDENTIAL.search(name)}


def _joined(headers: httpx2.Headers) -> dict[str, str]:
    return dict(headers.items())


def _encoded(pair: tuple[str, str]) -> tuple[bytes, bytes]:
    return pair[0].encode("ascii"), pair[1].encode()
