"""The HTTP faces: they read a request, hand it on and translate what comes back."""

# No deferred annotations here: FastAPI could not resolve those that name what create_app makes.

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from opentelemetry import trace
from opentelemetry.trace import TracerProvider
from pydantic import BaseModel

from factotum.events.envelope import Event
from factotum.events.producer import EventProducer
from factotum.gateway import openapi, problems
from factotum.gateway.errors import Malformed, NotAuthenticated, NotReady, TooLarge, TooSlow
from factotum.gateway.intake import Intake
from factotum.gateway.normalise import cloudevents
from factotum.gateway.runs import MAX_RUNS, PlannerClient, RunList, RunWithSteps
from factotum.gateway.sources import Sender, Sources
from factotum.runtime.telemetry import TENANT

# Seconds that a readiness probe waits for Kafka and for the planner.
READY_TIMEOUT_SECONDS = 3.0
# Not traced.
_PROBES = ("/healthz", "/readyz")

_bearer = HTTPBearer(scheme_name="bearer", auto_error=False, description="A token of the sources file.")
_bamboohr = APIKeyHeader(
    name="X-BambooHR-Signature",
    scheme_name="bamboohr",
    auto_error=False,
    description="Hex HMAC-SHA256 of body and X-BambooHR-Timestamp.",
)
_standard = APIKeyHeader(
    name="webhook-signature",
    scheme_name="standard",
    auto_error=False,
    description="Standard Webhooks, with webhook-id and webhook-timestamp.",
)


class AcceptedEvent(BaseModel):
    id: str
    type: str


class Accepted(BaseModel):
    """Kafka has acknowledged every one of these events."""

    events: list[AcceptedEvent]


class Health(BaseModel):
    status: str


def create_app(
    *,
    sources: Sources,
    intake: Intake,
    producer: EventProducer,
    planner: PlannerClient,
    max_body_bytes: int,
    body_timeout_seconds: float,
    clock: Callable[[], datetime],
    tracer_provider: TracerProvider,
) -> FastAPI:
    """The application. It answers with the statuses that its OpenAPI description names, 404 and 405."""
    app = FastAPI(
        title="Factotum gateway",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own tracing: opentelemetry-instrumentation-asgi 0.66b2 answers `Host: \xff\x` with a 500,
        # because it decodes what is not UTF-8 as Python escapes.
        telemetry={
            "tracer_provider": tracer_provider,
            "operation_spans": False,
            "metrics": False,
            "logs": False,
            "exclude": lambda scope: scope["path"] in _PROBES,
        },
    )
    problems.install(app)
    openapi.install(app)

    async def sender_of(token: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Sender:
        if token is None:
            raise NotAuthenticated("the header Authorization: Bearer is missing")
        sender = sources.sender_of(token.credentials.encode("latin-1"))
        trace.get_current_span().set_attribute(TENANT, sender.tenant)
        return sender

    def tenant_of(sender: Annotated[Sender, Depends(sender_of)]) -> str:
        return sender.tenant

    Tenant = Annotated[str, Depends(tenant_of)]

    @app.post(
        "/hooks/{source}",
        status_code=202,
        response_model=Accepted,
        responses=problems.responses(400, 401, 404, 408, 413, 503),
        dependencies=[Depends(_bamboohr), Depends(_standard)],
        openapi_extra=openapi.WEBHOOK_BODY,
    )
    async def receive_webhook(source: str, request: Request) -> Accepted:
        """Takes a signed webhook. Each of its events is acknowledged by Kafka before the answer."""
        known = sources.source(source)
        trace.get_current_span().set_attribute(TENANT, known.tenant)
        body = await _body(request, max_body_bytes, body_timeout_seconds)
        return _accepted(await intake.webhook(known, _headers(request), body, clock()))

    @app.post(
        "/v1/events",
        status_code=202,
        response_model=Accepted,
        responses=problems.responses(400, 401, 403, 408, 413, 503),
        openapi_extra=openapi.CLOUDEVENTS_BODY,
    )
    async def receive_cloudevents(sender: Annotated[Sender, Depends(sender_of)], request: Request) -> Accepted:
        """Takes CloudEvents: structured, in a batch, or binary.

        Data is kept as JSON, or as text where its content type is another one. Bytes that are not UTF-8,
        and so data_base64, are refused. So is an event of a tenant other than the token's, one whose source
        starts with /hooks/, which only signed webhooks have, one whose type starts with dev.factotum., and one
        that names whom its runs act for (factotumuser): that says the token.
        """
        body = await _body(request, max_body_bytes, body_timeout_seconds)
        headers = _unrepeated(_headers(request), request)
        return _accepted(await intake.cloudevents(sender.tenant, headers, body, user=sender.user))

    @app.get("/v1/runs", response_model=RunList, responses=problems.responses(400, 401, 503))
    async def list_runs(
        tenant: Tenant,
        limit: Annotated[int, Query(ge=1, le=MAX_RUNS)] = 50,
        procedure: Annotated[str, Query(max_length=256, description="namespace/name; empty: every one")] = "",
    ) -> RunList:
        """The tenant's runs, newest first."""
        return await planner.runs(tenant, limit=limit, procedure=procedure)

    @app.get("/v1/runs/{run_id}", response_model=RunWithSteps, responses=problems.responses(400, 401, 404, 503))
    async def get_run(tenant: Tenant, run_id: str) -> RunWithSteps:
        """One run with its steps."""
        return await planner.run(tenant, run_id)

    @app.get("/healthz", response_model=Health)
    async def healthz() -> Health:
        """The process lives."""
        return Health(status="alive")

    @app.get("/readyz", response_model=Health, responses=problems.responses(503))
    async def readyz() -> Health:
        """Kafka and the planner answer."""
        kafka, runs = await asyncio.gather(_kafka_ready(producer), planner.healthy())
        missing = [name for name, there in (("Kafka", kafka), ("the planner", runs)) if not there]
        if missing:
            raise NotReady(f"{' and '.join(missing)} cannot be reached")
        return Health(status="ready")

    return app


async def _kafka_ready(producer: EventProducer) -> bool:
    try:
        async with asyncio.timeout(READY_TIMEOUT_SECONDS):
            return await producer.reachable()
    except TimeoutError:
        return False


async def _body(request: Request, limit: int, within_seconds: float) -> bytes:
    """The raw body. What it declares to be its length is not believed; reading stops at the limit."""
    body = bytearray()
    try:
        async with asyncio.timeout(within_seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(f"a body may have {limit} bytes")
    except TimeoutError:
        raise TooSlow(f"a body has to come within {within_seconds:g} s") from None
    return bytes(body)


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _unrepeated(headers: Mapping[str, str], request: Request) -> Mapping[str, str]:
    for name in headers:
        described = name == "content-type" or name.startswith(cloudevents.PREFIX)
        if described and len(request.headers.getlist(name)) > 1:
            raise Malformed("a header that describes the event is given twice")
    return headers


def _accepted(events: list[Event]) -> Accepted:
    return Accepted(events=[AcceptedEvent(id=event.id, type=event.type) for event in events])
