"""The gateway on a real socket, with a real Kafka protocol behind it."""

import asyncio
import json
from pathlib import Path

import grpc
import httpx2
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.events.envelope import Event
from factotum.events.topics import EVENTS
from factotum.runtime import clock
from factotum.runtime.telemetry import TENANT
from tests.support.gateway import (
    Gateway,
    bamboohr_headers,
    employee_body,
    gateway,
    standard_headers,
)
from tests.support.gateway_answers import ACME, GLOBEX, assert_problem, on_kafka
from tests.support.kafka import embedded_kafka, read_all
from tests.support.planner_stub import PlannerStub, planner_stub


async def test_bamboohr_webhook_is_on_kafka_when_it_is_answered(client: httpx2.AsyncClient, kafka: str) -> None:
    body = employee_body("7", workEmail="ada@acme.example")
    response = await client.post("/hooks/bamboohr", content=body, headers=bamboohr_headers(body, clock.now()))
    assert response.status_code == 202
    [accepted] = response.json()["events"]
    assert accepted["type"] == "com.bamboohr.employee.created"
    [event] = on_kafka(kafka, accepted["id"])
    assert (event.tenant, event.source, event.subject) == ("acme", "/hooks/bamboohr", "7")
    assert event.data["employee"] == {"id": "7", "workEmail": "ada@acme.example"}


async def test_redelivery_has_the_same_id(client: httpx2.AsyncClient) -> None:
    body = employee_body("8")
    responses = await asyncio.gather(
        *(client.post("/hooks/bamboohr", content=body, headers=bamboohr_headers(body, clock.now())) for _ in range(10))
    )
    assert len({response.text for response in responses}) == 1
    assert {response.status_code for response in responses} == {202}


async def test_standard_webhook_has_its_own_id(client: httpx2.AsyncClient, kafka: str) -> None:
    body = b'{"type": "invoice.paid", "timestamp": "2026-11-24T09:00:00Z", "data": {"amount": 1}}'
    response = await client.post("/hooks/billing", content=body, headers=standard_headers(body, clock.now(), "msg_1"))
    assert response.json() == {"events": [{"id": "msg_1", "type": "invoice.paid"}]}
    [event] = on_kafka(kafka, "msg_1")
    assert event.data == {"amount": 1}
    assert event.source == "/hooks/billing"


async def test_refusals_in_their_order(client: httpx2.AsyncClient) -> None:
    large, now = b"x" * (1024 * 1024 + 1), clock.now()
    assert_problem(await client.post("/hooks/nobody", content=large), 404, "unknown-source")
    assert_problem(await client.post("/hooks/bamboohr", content=large), 413, "too-large")
    assert_problem(await client.post("/hooks/bamboohr", content=b"not json"), 401, "signature")
    headers = bamboohr_headers(b"not json", now)
    assert_problem(await client.post("/hooks/bamboohr", content=b"not json", headers=headers), 400, "malformed")
    assert_problem(await client.post("/v1/events", content=large), 401, "token")
    assert_problem(await client.post("/v1/events", content=large, headers=ACME), 413, "too-large")


async def test_tenants_do_not_share_a_secret(client: httpx2.AsyncClient) -> None:
    body = employee_body("9")
    response = await client.post("/hooks/bamboohr-globex", content=body, headers=bamboohr_headers(body, clock.now()))
    assert_problem(response, 401, "signature")


async def test_limit_holds_for_a_body_of_undeclared_length(client: httpx2.AsyncClient) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(40):
            yield b"x" * 65536

    assert_problem(await client.post("/hooks/bamboohr", content=chunks()), 413, "too-large")


async def test_event_that_grows_over_kafkas_limit_is_too_large(client: httpx2.AsyncClient) -> None:
    body = b'{"type": "t", "data": [' + b",".join([b"1E9"] * 200_000) + b"]}"
    assert len(body) < 1024 * 1024
    response = await client.post("/hooks/billing", content=body, headers=standard_headers(body, clock.now(), "grown"))
    assert_problem(response, 413, "too-large")


@pytest.mark.parametrize("binding", [to_structured_event, to_binary_event])
async def test_cloudevents_as_the_reference_sender_writes_them(client, kafka, binding) -> None:  # type: ignore[no-untyped-def]
    attributes = {
        "id": binding.__name__,
        "source": "/tests",
        "type": "t.made",
        "subject": 'Zoë 100% "so"',
        "mood": "ok",
    }
    message = binding(CloudEvent(attributes=attributes, data={"a": None, "b": "ü"}))
    response = await client.post("/v1/events", content=message.body, headers={**message.headers, **ACME})
    assert response.json() == {"events": [{"id": binding.__name__, "type": "t.made"}]}
    [event] = on_kafka(kafka, binding.__name__)
    assert event.subject == 'Zoë 100% "so"'
    assert event.data == {"a": None, "b": "ü"}
    assert event.extensions == {"mood": "ok"}
    assert event.tenant == "acme"


async def test_batch_is_acknowledged_whole(client: httpx2.AsyncClient, kafka: str) -> None:
    batch = [
        {"specversion": "1.0", "id": f"batch-{n}", "source": "/tests", "type": "t", "subject": "one"} for n in range(20)
    ]
    headers = {"content-type": "application/cloudevents-batch+json", **ACME}
    response = await client.post("/v1/events", content=json.dumps(batch), headers=headers)
    assert [event["id"] for event in response.json()["events"]] == [event["id"] for event in batch]
    published = [Event.from_bytes(message.value).id for message in read_all(kafka, EVENTS)]
    assert [event_id for event_id in published if event_id.startswith("batch-")] == [event["id"] for event in batch]


async def test_event_of_another_tenant_is_refused(client: httpx2.AsyncClient, kafka: str) -> None:
    event = {"specversion": "1.0", "id": "foreign", "source": "/tests", "type": "t", "tenant": "globex"}
    headers = {"content-type": "application/cloudevents+json", **ACME}
    assert_problem(await client.post("/v1/events", content=json.dumps(event), headers=headers), 403, "tenant")
    assert on_kafka(kafka, "foreign") == []
    headers = {"content-type": "application/cloudevents+json", **GLOBEX}
    assert (await client.post("/v1/events", content=json.dumps(event), headers=headers)).status_code == 202
    assert [event.tenant for event in on_kafka(kafka, "foreign")] == ["globex"]


async def test_token_cannot_speak_for_hr_or_for_factotum(client: httpx2.AsyncClient, kafka: str) -> None:
    headers = {"content-type": "application/cloudevents+json", **ACME}
    for claim in ({"source": "/hooks/bamboohr"}, {"type": "dev.factotum.outcome.v1"}):
        event = {"specversion": "1.0", "id": "claimed", "source": "/tests", "type": "t"} | claim
        response = await client.post("/v1/events", content=json.dumps(event), headers=headers)
        assert_problem(response, 403, "reserved")
        assert next(iter(claim.values())).startswith(response.json()["detail"].split()[5])
    assert on_kafka(kafka, "claimed") == []


async def test_refusals_are_logged_without_what_was_sent(client: httpx2.AsyncClient) -> None:
    with capture_logs() as lines:
        body = employee_body("unlogged")
        headers = bamboohr_headers(body, clock.now(), "wrong secret")
        await client.post("/hooks/bamboohr", content=body, headers=headers)
        await client.post("/v1/events", headers={"authorization": "Bearer wrong-token"})
        await client.post(
            "/v1/events",
            headers={
                **ACME,
                "ce-specversion": "1.0",
                "ce-id": "secret-id",
                "ce-source": "/s",
                "ce-type": "t",
                "ce-tenant": "globex",
            },
        )
    refused = [line for line in lines if line["event"] == "request refused"]
    assert [(line["route"], line["source"], line["problem"]) for line in refused] == [
        ("POST /hooks/{source}", "bamboohr", "signature"),
        ("POST /v1/events", "", "token"),
        ("POST /v1/events", "", "tenant"),
    ]
    assert all(line["reason"] and line["log_level"] == "warning" for line in refused)
    for kept_out in ("unlogged", headers["x-bamboohr-signature"], "wrong-token", "secret-id"):
        assert kept_out not in repr(lines)


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
async def test_nothing_required_is_invented(client: httpx2.AsyncClient, missing: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/tests", "type": "t"}
    del event[missing]
    headers = {"content-type": "application/cloudevents+json", **ACME}
    assert_problem(await client.post("/v1/events", content=json.dumps(event), headers=headers), 400, "malformed")
    binary = {f"ce-{name}": value for name, value in event.items()}
    assert_problem(await client.post("/v1/events", headers={**binary, **ACME}), 400, "malformed")


async def test_attribute_given_twice_is_refused(client: httpx2.AsyncClient) -> None:
    headers = [("ce-specversion", "1.0"), ("ce-id", "a"), ("ce-id", "b"), ("ce-source", "/s"), ("ce-type", "t")]
    assert_problem(await client.post("/v1/events", headers=[*headers, *ACME.items()]), 400, "malformed")


async def test_description_is_complete(client: httpx2.AsyncClient) -> None:
    description = (await client.get("/openapi.json")).json()
    answers = {
        (method, path): set(operation["responses"])
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }
    assert answers == {
        ("post", "/hooks/{source}"): {"202", "400", "401", "404", "408", "413", "503"},
        ("post", "/v1/events"): {"202", "400", "401", "403", "408", "413", "503"},
        ("get", "/v1/runs"): {"200", "400", "401", "503"},
        ("get", "/v1/runs/{run_id}"): {"200", "400", "401", "404", "503"},
        ("get", "/healthz"): {"200"},
        ("get", "/readyz"): {"200", "503"},
    }
    security = {path: next(iter(it.values())).get("security") for path, it in description["paths"].items()}
    assert security["/v1/events"] == security["/v1/runs"] == [{"bearer": []}]
    assert security["/hooks/{source}"] == [{"bamboohr": []}, {"standard": []}]
    assert set(description["components"]["securitySchemes"]) == {"bearer", "bamboohr", "standard"}
    assert "Problem" in description["components"]["schemas"]


async def test_runs_of_the_tokens_tenant(client: httpx2.AsyncClient, planner: PlannerStub) -> None:
    run = pb.Run(id="acme.r.1", tenant="acme", procedure="hr/onboarding", status=pb.RUN_STATUS_COMPLETED)
    run.output_json, run.failure = '{"account": "ada"}', "why"
    run.started_at.FromJsonString("2026-11-24T09:00:00Z")
    run.steps.add(pointer="/do/0/a", tool="identity.create_user", status=pb.STEP_STATUS_WAITING, attempts=2)
    planner.runs = [run, pb.Run(id="globex.r.1", tenant="globex")]
    listed = (await client.get("/v1/runs", headers=ACME)).json()["runs"]
    assert [(it["id"], it["failure"]) for it in listed] == [("acme.r.1", "why")]
    assert not {"output", "steps"} & set(listed[0])
    got = (await client.get("/v1/runs/acme.r.1", headers=ACME)).json()
    assert (got["status"], got["output"], got["started_at"]) == (
        "completed",
        {"account": "ada"},
        "2026-11-24T09:00:00Z",
    )
    assert (got["steps"][0]["status"], got["steps"][0]["attempts"]) == ("waiting", 2)
    assert_problem(await client.get("/v1/runs/acme.r.1", headers=GLOBEX), 404, "unknown-run")
    assert_problem(await client.get("/v1/runs", headers={"authorization": "Bearer no"}), 401, "token")
    assert_problem(await client.get("/v1/runs?limit=501", headers=ACME), 400, "malformed")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
async def test_planner_that_fails_is_a_503(
    client: httpx2.AsyncClient, planner: PlannerStub, code: grpc.StatusCode
) -> None:
    planner.failure = code
    try:
        for path in ("/v1/runs", "/v1/runs/acme.r.1"):
            response = await client.get(path, headers=ACME)
            assert_problem(response, 503, "planner")
            assert int(response.headers["retry-after"]) > 0
    finally:
        planner.failure = None


async def test_health(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_frameworks_own_errors_are_problems(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404)
    assert_problem(await client.get("/hooks/bamboohr/"), 404)
    response = await client.get("/hooks/bamboohr")
    assert_problem(response, 405)
    assert response.headers["allow"] == "POST"


async def test_kafka_away_is_a_503_and_never_a_202(tmp_path: Path) -> None:
    async with planner_stub(PlannerStub()) as address:
        with embedded_kafka() as bootstrap_servers:
            running = gateway(tmp_path, bootstrap_servers, address, publish_timeout_seconds=1)
            served: Gateway = await running.__aenter__()
            try:
                async with httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
                    body = employee_body("10")
                    headers = bamboohr_headers(body, clock.now())
                    assert (await client.post("/hooks/bamboohr", content=body, headers=headers)).status_code == 202
            except BaseException:
                await running.__aexit__(None, None, None)
                raise
        try:
            async with httpx2.AsyncClient(base_url=served.url, timeout=30) as client:
                response = await client.post("/hooks/bamboohr", content=body, headers=headers)
                assert_problem(response, 503, "broker")
                assert int(response.headers["retry-after"]) > 0
                assert bootstrap_servers not in response.text
                response = await client.get("/readyz")
                assert_problem(response, 503, "not-ready")
                assert "Kafka" in response.json()["detail"] and "planner" not in response.json()["detail"]
                assert (await client.get("/healthz")).status_code == 200
        finally:
            await running.__aexit__(None, None, None)


async def test_planner_away(tmp_path: Path, kafka: str) -> None:
    async with planner_stub(PlannerStub()) as address:
        pass
    async with (
        gateway(tmp_path, kafka, address) as served,
        httpx2.AsyncClient(base_url=served.url, timeout=30) as client,
    ):
        assert_problem(await client.get("/v1/runs", headers=ACME), 503, "planner")
        response = await client.get("/readyz")
        assert_problem(response, 503, "not-ready")
        assert "planner" in response.json()["detail"] and "Kafka" not in response.json()["detail"]


async def test_one_span_a_request_with_its_tenant(tmp_path: Path, kafka: str) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with (
        planner_stub(PlannerStub()) as address,
        gateway(tmp_path, kafka, address, tracer_provider=provider) as served,
        httpx2.AsyncClient(base_url=served.url) as client,
    ):
        body = employee_body("spanned")
        await client.post("/hooks/bamboohr", content=body, headers=bamboohr_headers(body, clock.now()))
        await client.get("/v1/runs", headers=GLOBEX)
        await client.get("/healthz")
    assert [(span.name, (span.attributes or {}).get(TENANT)) for span in spans.get_finished_spans()] == [
        ("POST /hooks/{source}", "acme"),
        ("GET /v1/runs", "globex"),
    ]
