"""Calls of a gRPC server as spans of their caller's trace."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from factotum.runtime import spans

tracer = trace.get_tracer(__name__)

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

Behaviour = Callable[[Any, Any], Any]
Handler: TypeAlias = "grpc.GenericRpcHandler[Any, Any]"


class Traced(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic for the checker alone
    """The methods of a server, each wrapped once into its span. Stands in for the server where services are added to
    it, and is then the server's one handler.

    Not an interceptor: grpc.aio runs those anew for each call, and OpenTelemetry's then wraps the method anew. And
    not a handler for each method: for each of them grpc.aio keeps a request for the next call, and looks at all of
    them at every call. Probes are no part of any trace.
    """

    def __init__(self) -> None:
        self._handlers: list[Handler] = []
        self._traced: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    def add_generic_rpc_handlers(self, handlers: Sequence[Handler]) -> None:
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """What is generated adds each method in this way too."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        known = self._traced.get(details.method)
        if known is not None:
            return known
        for handler in self._handlers:
            found = handler.service(details)
            if found is not None:
                self._traced[details.method] = _method(details.method, found)
                return self._traced[details.method]
        return None


def _method(name: str, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
    if name.startswith("/grpc.health."):
        return handler  # type: ignore[no-any-return]  # grpc's own types leave the kinds of handler open
    coding = handler.request_deserializer, handler.response_serializer
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(_answering(name, handler.unary_unary), *coding)
    if handler.unary_stream is not None and inspect.isasyncgenfunction(handler.unary_stream):
        return grpc.unary_stream_rpc_method_handler(_streaming(name, handler.unary_stream), *coding)
    return handler  # type: ignore[no-any-return]


def _answering(name: str, behaviour: Behaviour) -> Behaviour:
    attributes = _attributes(name)

    async def traced(request: Any, context: Any) -> Any:
        with spans.current(
            tracer, name, parent=_parent(context), kind=SpanKind.SERVER, attributes=attributes, faults=False
        ) as span:
            try:
                return await behaviour(request, context)
            except Exception as error:
                _failed(span, error)
                raise
            finally:
                _ended(span, context)

    return traced


def _streaming(name: str, behaviour: Behaviour) -> Behaviour:
    attributes = _attributes(name)

    async def traced(request: Any, context: Any) -> AsyncIterator[Any]:
        with spans.current(
            tracer, name, parent=_parent(context), kind=SpanKind.SERVER, attributes=attributes, faults=False
        ) as span:
            try:
                async for answer in behaviour(request, context):
                    yield answer
            except Exception as error:
                _failed(span, error)
                raise
            finally:
                _ended(span, context)

    return traced


def _attributes(name: str) -> dict[str, str | int]:
    service, _, method = name.removeprefix("/").partition("/")
    return {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, "rpc.grpc.status_code": 0}


def _parent(context: Any) -> Context | None:
    carrier = {key: value for key, value in context.invocation_metadata() if key in ("traceparent", "tracestate")}
    return _PROPAGATOR.extract(carrier) if carrier else None


def _failed(span: Span, error: Exception) -> None:
    """Of a fault the server answers UNKNOWN; the trace says why."""
    if not isinstance(error, grpc.aio.AbortError):
        span.record_exception(error)
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
        span.set_attribute("rpc.grpc.status_code", grpc.StatusCode.UNKNOWN.value[0])


def _ended(span: Span, context: Any) -> None:
    code = context.code()
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    if number:
        span.set_attribute("rpc.grpc.status_code", number)
    if number in _ERRORS:
        span.set_status(Status(StatusCode.ERROR, f"{code}: {_text(context.details())}"))


def _text(details: Any) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else str(details or "")
