"""Every error answer: `application/problem+json` (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from factotum.events.errors import BrokerUnavailable
from factotum.gateway import errors

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """A problem as RFC 9457 describes it."""

    type: str = Field(description="urn:factotum:problem:…, or about:blank where the status says it all")
    title: str
    status: int
    detail: str
    instance: str = Field(description="path of the request")


@dataclass(frozen=True)
class _Kind:
    status: int
    name: str
    title: str
    headers: Mapping[str, str]


_RETRY = {"retry-after": str(RETRY_AFTER_SECONDS)}
# Somebody is misconfigured, or tries what is not his.
_LOGGED = (401, 403)
_KINDS: dict[type[Exception], _Kind] = {
    errors.Malformed: _Kind(400, "malformed", "The request is malformed", {}),
    ClientDisconnect: _Kind(400, "cut-off", "The body was cut off", {}),
    errors.SignatureRefused: _Kind(401, "signature", "The signature was refused", {}),
    errors.NotAuthenticated: _Kind(401, "token", "A bearer token is needed", {"www-authenticate": "Bearer"}),
    errors.WrongTenant: _Kind(403, "tenant", "The tenant is another one", {}),
    errors.Reserved: _Kind(403, "reserved", "The event is not the sender's to make", {}),
    errors.UnknownSource: _Kind(404, "unknown-source", "The source is unknown", {}),
    errors.RunNotFound: _Kind(404, "unknown-run", "The run is unknown", {}),
    errors.TooSlow: _Kind(408, "too-slow", "The body came too slowly", {"connection": "close"}),
    errors.TooLarge: _Kind(413, "too-large", "The request is too large", {}),
    BrokerUnavailable: _Kind(503, "broker", "Events cannot be taken now", _RETRY),
    errors.PlannerUnavailable: _Kind(503, "planner", "The planner is away", _RETRY),
    errors.NotReady: _Kind(503, "not-ready", "The gateway is not ready", _RETRY),
}
# Its message names addresses of the inside.
_DETAILS: dict[type[Exception], str] = {
    BrokerUnavailable: "Kafka did not acknowledge the events; send the request again",
    ClientDisconnect: "the connection ended before the body",
}


def body(status: int, *, path: str, detail: str, kind: str = "about:blank", title: str = "") -> bytes:
    """The problem's JSON, in ASCII, since the path may hold anything."""
    problem = Problem(
        type=kind,
        title=title or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        instance=quote(path, safe="/", errors="replace"),
    )
    return json.dumps(problem.model_dump()).encode()


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI's `responses` says of these statuses in the OpenAPI description."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {CONTENT_TYPE: {"schema": schema}}}
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Makes every error of the application, FastAPI's own too, a problem."""
    for error_type in (errors.Refused, errors.PlannerUnavailable, errors.NotReady, BrokerUnavailable, ClientDisconnect):
        app.add_exception_handler(error_type, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _by_status)
    app.add_exception_handler(Exception, _internal)


def _respond(
    request: Request,
    status: int,
    detail: str,
    *,
    kind: str = "about:blank",
    title: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    content = body(status, path=request.scope["path"], detail=detail, kind=kind, title=title)
    return Response(content, status, headers=headers, media_type=CONTENT_TYPE)


async def _ours(request: Request, error: Exception) -> Response:
    kind = _KINDS[type(error)]
    if kind.status >= 500:
        log.warning("request not served", problem=kind.name, reason=str(error))
    elif kind.status in _LOGGED:
        # What was sent, signature and token above all, stays out of the log.
        source = request.path_params.get("source", "")
        log.warning("request refused", route=_route(request), source=source, problem=kind.name, reason=str(error))
    detail = _DETAILS.get(type(error), str(error))
    name = f"urn:factotum:problem:{kind.name}"
    return _respond(request, kind.status, detail, kind=name, title=kind.title, headers=kind.headers)


def _route(request: Request) -> str:
    return f"{request.method} {request.scope['route'].path}"


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return await _ours(request, errors.Malformed("; ".join(faults)))


async def _by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _respond(request, error.status_code, str(error.detail), headers=error.headers)


async def _internal(request: Request, _: Exception) -> Response:
    # Starlette raises the error again for the server to log it.
    return _respond(request, 500, "the gateway failed; its log says how")
