"""A unary call is a span of its caller's trace, and says how it ended."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from factotum.api.memory.v1 import memory_pb2 as pb
from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.runtime import grpc_tracing, telemetry
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings

SERVICE = "factotum.api.memory.v1.MemoryService"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Servicer(memory_pb2_grpc.MemoryServiceServicer):
    """Ends as the query says."""

    seen = ""

    async def Recall(self, request: pb.RecallRequest, context: Any) -> pb.RecallResponse:
        Servicer.seen = telemetry.traceparent()
        if request.query in grpc.StatusCode.__members__:
            await context.abort(grpc.StatusCode[request.query], "because")
        if request.query == "fault":
            raise LookupError("of ours")
        return pb.RecallResponse()

    async def Reindex(self, request: pb.ReindexRequest, context: Any) -> AsyncIterator[pb.ReindexProgress]:
        yield pb.ReindexProgress()
        Servicer.seen = telemetry.traceparent()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "because")


@pytest.fixture
async def spans(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(grpc_tracing, "tracer", provider.get_tracer("test"))
    yield exporter


@asynccontextmanager
async def served() -> AsyncIterator[Any]:
    servicer = Servicer()
    server = GrpcServer(
        GrpcSettings(port=0),
        [SERVICE],
        [lambda made: memory_pb2_grpc.add_MemoryServiceServicer_to_server(servicer, made)],
    )
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield memory_pb2_grpc.MemoryServiceStub(channel)
    finally:
        await server.stop()


async def called(spans: InMemorySpanExporter, query: str, *metadata: tuple[str, str]) -> ReadableSpan:
    async with served() as stub:
        try:
            await stub.Recall(pb.RecallRequest(query=query), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            assert error.code() is (grpc.StatusCode.UNKNOWN if query == "fault" else grpc.StatusCode[query])
    (span,) = spans.get_finished_spans()
    return span


async def test_it_continues_the_trace_of_the_caller(spans: InMemorySpanExporter) -> None:
    span = await called(spans, "", ("traceparent", PARENT), ("other", "x"))
    assert span.kind is SpanKind.SERVER and span.parent is not None
    assert (format(span.context.trace_id, "032x"), format(span.parent.span_id, "016x")) == tuple(PARENT.split("-")[1:3])
    assert Servicer.seen == f"00-{PARENT.split('-')[1]}-{span.context.span_id:016x}-01"
    assert dict(span.attributes or {}) == {
        "rpc.system": "grpc",
        "rpc.service": SERVICE,
        "rpc.method": "Recall",
        "rpc.grpc.status_code": 0,
    }


async def test_without_a_caller_that_traces_it_begins_one(spans: InMemorySpanExporter) -> None:
    span = await called(spans, "")
    assert span.parent is None and span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize(
    ("query", "number", "status"),
    [
        ("NOT_FOUND", 5, StatusCode.UNSET),
        ("UNAVAILABLE", 14, StatusCode.ERROR),
        ("INTERNAL", 13, StatusCode.ERROR),
        ("fault", 2, StatusCode.ERROR),
    ],
)
async def test_it_says_how_it_ended(spans: InMemorySpanExporter, query: str, number: int, status: StatusCode) -> None:
    span = await called(spans, query)
    assert (span.attributes or {})["rpc.grpc.status_code"] == number and span.status.status_code is status
    assert [event.name for event in span.events] == (["exception"] if query == "fault" else [])


async def test_a_stream_is_a_span_too(spans: InMemorySpanExporter) -> None:
    async with served() as stub:
        answers = stub.Reindex(pb.ReindexRequest(), metadata=(("traceparent", PARENT),))
        assert await answers.read() == pb.ReindexProgress()
        with pytest.raises(grpc.aio.AioRpcError):
            await answers.read()
    (span,) = spans.get_finished_spans()
    assert Servicer.seen == f"00-{PARENT.split('-')[1]}-{span.context.span_id:016x}-01"
    assert (span.attributes or {})["rpc.grpc.status_code"] == 14 and span.status.status_code is StatusCode.ERROR
