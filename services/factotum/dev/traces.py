"""The trace collector of the local stack: takes OTLP over HTTP, gives back the trace of a run.

POST /v1/traces                          OTLP, protobuf, plain or gzip
GET  /v1/runs/{run_id}/trace?tenant=     {"spans": [...]}, see `Span`; empty if nothing is known of the run
GET  /healthz
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import time
import zlib
from dataclasses import asdict
from pathlib import Path

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from factotum.dev import otlp
from factotum.dev.part import HOST
from factotum.dev.trace_store import TraceStore

PROTOBUF = "application/x-protobuf"
KEPT_SECONDS = 7 * 24 * 3600


def create_app(store: TraceStore) -> Starlette:
    """The collector's HTTP face. The store is open while it serves."""

    async def export(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip() != PROTOBUF:
            return JSONResponse({"detail": f"only {PROTOBUF} is understood"}, 415)
        body = await request.body()
        try:
            if request.headers.get("content-encoding", "") == "gzip":
                body = gzip.decompress(body)
            spans = otlp.spans(body)
        except (otlp.Malformed, OSError, EOFError, zlib.error) as error:
            return JSONResponse({"detail": str(error)}, 400)
        await run_in_threadpool(store.add, spans)
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=PROTOBUF)

    async def trace(request: Request) -> Response:
        tenant = request.query_params.get("tenant")
        if not tenant:
            return JSONResponse({"detail": "say whose run it is: ?tenant="}, 400)
        spans = await run_in_threadpool(store.of_run, request.path_params["run_id"], tenant)
        return JSONResponse({"spans": [asdict(span) for span in spans]})

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "alive"})

    return Starlette(
        routes=[
            Route("/v1/traces", export, methods=["POST"]),
            Route("/v1/runs/{run_id}/trace", trace),
            Route("/healthz", healthz),
        ]
    )


async def serve(port: int, database: Path) -> None:
    """Serves on loopback until a signal. Ends the process with status 1 if the port is taken."""
    store = TraceStore(database)
    store.open()
    store.forget_before(time.time_ns() - KEPT_SECONDS * 1_000_000_000)
    config = uvicorn.Config(create_app(store), host=HOST, port=port, access_log=False, log_level="warning")
    try:
        await uvicorn.Server(config).serve()
    finally:
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--database", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.database))


if __name__ == "__main__":
    main()
