"""The trace collector on a socket, fed by the exporter that every process uses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

from factotum.dev.trace_store import Span, TraceStore
from factotum.runtime.telemetry import RUN_ID, TENANT
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = tmp_path_factory.mktemp("traces") / "traces.sqlite3"
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "factotum.dev.traces", "--port", url.rpartition(":")[2]]
    process = subprocess.Popen([*command, "--database", str(database)])
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                assert httpx2.get(f"{url}/healthz").status_code == 200
                break
            except httpx2.TransportError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


def spans(url: str, run_id: str, tenant: str) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{url}/v1/runs/{run_id}/trace", params={"tenant": tenant})
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["spans"]
    return found


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_whole_trace_of_a_run(collector: str, compression: Compression) -> None:
    run_id = f"acme.employee-onboarding.{compression.value}"
    provider = TracerProvider(resource=Resource.create({"service.name": "planner"}))
    exporter = OTLPSpanExporter(endpoint=f"{collector}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("webhook", attributes={"sizes": [1, 2], "raw": b"\x01"}) as webhook:
        webhook.add_event("seen", {"of": "it"})
        with tracer.start_as_current_span("start run", attributes={RUN_ID: run_id, TENANT: "acme"}) as span:
            span.set_status(Status(StatusCode.ERROR, "no luck"))
    with tracer.start_as_current_span("another trace"):
        pass
    provider.shutdown()
    root, child = spans(collector, run_id, "acme")
    assert (root["name"], child["name"]) == ("webhook", "start run")
    assert (root["parent_id"], child["parent_id"]) == ("", root["span_id"])
    assert root["trace_id"] == child["trace_id"] == f"{webhook.get_span_context().trace_id:032x}"
    assert (root["service"], root["kind"]) == ("planner", "internal")
    assert root["attributes"] == {"sizes": [1, 2], "raw": "AQ=="}
    assert root["events"][0]["name"] == "seen" and root["events"][0]["attributes"] == {"of": "it"}
    assert (root["status"], child["status"], child["status_message"]) == ("unset", "error", "no luck")
    assert root["start_ns"] <= child["start_ns"] <= child["end_ns"] <= root["end_ns"]
    assert spans(collector, run_id, "globex") == []
    assert spans(collector, "acme.unknown", "acme") == []


def test_what_is_not_otlp_is_refused(collector: str) -> None:
    def post(body: bytes, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx2.post(f"{collector}/v1/traces", content=body, headers=named).status_code

    assert post(b"{}", content_type="application/json") == 415
    assert post(b"\xff\xff", content_type="application/x-protobuf") == 400
    for body in (b"no gzip", b"\x1f\x8b\x08\x00", b"\x1f\x8b\x08\x00" + b"\xff" * 20):
        assert post(body, content_type="application/x-protobuf", content_encoding="gzip") == 400
    assert httpx2.get(f"{collector}/v1/runs/acme.x/trace").status_code == 400


def test_old_spans_are_forgotten_and_the_others_stay(tmp_path: Path) -> None:
    old = Span("a" * 32, "1" * 16, "", "old", "internal", "planner", 1, 10, "unset", "", {RUN_ID: "acme.1"}, [])
    new = replace(old, trace_id="b" * 32, name="new", end_ns=20, attributes={RUN_ID: "acme.2", TENANT: "acme"})
    store = TraceStore(tmp_path / "traces.sqlite3")
    store.open()
    store.add([old, new])
    assert store.of_run("acme.1", "acme") == [old]
    store.forget_before(20)
    assert store.of_run("acme.1", "acme") == []
    store.close()
    again = TraceStore(tmp_path / "traces.sqlite3")
    again.open()
    assert again.of_run("acme.2", "acme") == [new]
    again.close()
