"""Calls of a gRPC server as spans of their caller's trace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

tracer = trace.get_tracer(__name__)

Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[Any]]

_PROPAGATOR = TraceContextTextMapPropagator()
# Of OpenTelemetry's conventions for gRPC: those that are the server's fault.
_ERRORS = {
    code.value[0]
    for code in (
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    )
}


class Traced(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic for the checker alone
    """Unary calls, a handler wrapped once: OpenTelemetry's interceptor, which wraps each call anew and asks three
    times for the peer, takes about half of what a bare call takes (decision 26). It has the streams. Probes are no
    part of any trace, and it breaks the streaming `Watch` of the health service."""

    def __init__(self) -> None:
        self._streams = aio_server_interceptor()
        self._wrapped: dict[str, Any] = {}

    async def intercept_service(self, continuation: Continuation, details: grpc.HandlerCallDetails) -> Any:
        handler = await continuation(details)
        if handler is None or details.method.startswith("/grpc.health."):
            return handler
        if handler.unary_unary is None:
            return await self._streams.intercept_service(continuation, details)
        if details.method not in self._wrapped:
            self._wrapped[details.method] = grpc.unary_unary_rpc_method_handler(
                _traced(details.method, handler.unary_unary), handler.request_deserializer, handler.response_serializer
            )
        return self._wrapped[details.method]


def _traced(name: str, behaviour: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    service, _, method = name.removeprefix("/").partition("/")
    attributes: dict[str, str | int] = {
        "rpc.system": "grpc",
        "rpc.service": service,
        "rpc.method": method,
        "rpc.grpc.status_code": 0,
    }

    async def traced(request: Any, context: Any) -> Any:
        carrier = {key: value for key, value in context.invocation_metadata() if key in ("traceparent", "tracestate")}
        parent = _PROPAGATOR.extract(carrier) if carrier else None
        with tracer.start_as_current_span(
            name,
            context=parent,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                return await behaviour(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # the server answers UNKNOWN; the trace says why
                span.record_exception(error)
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                span.set_attribute("rpc.grpc.status_code", grpc.StatusCode.UNKNOWN.value[0])
                raise
            finally:
                code = context.code()
                number = code.value[0] if isinstance(code, grpc.StatusCode) else code
                if number:
                    span.set_attribute("rpc.grpc.status_code", number)
                if number in _ERRORS:
                    span.set_status(Status(StatusCode.ERROR, f"{code}: {_text(context.details())}"))

    return traced


def _text(details: Any) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else str(details or "")
