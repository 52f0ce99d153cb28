"""The root span of a request, within which everything that follows from it is traced.

Not the FastAPI instrumentation: its ASGI part decodes header bytes that are not UTF-8 as Python
escapes, so that `Host: \\xff\\x` becomes a 500 (opentelemetry-instrumentation-asgi 0.66b2).
"""

from __future__ import annotations

from collections.abc import Set

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

tracer = trace.get_tracer(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})


class Tracing:
    """ASGI middleware: one span a request, continuing the caller's `traceparent`. Probes are not traced."""

    def __init__(self, app: ASGIApp, untraced: Set[str]) -> None:
        self._app = app
        self._untraced = untraced

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._untraced:
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with tracer.start_as_current_span(method, propagate.extract(carrier), SpanKind.SERVER) as span:
            span.set_attribute("http.request.method", method)

            async def traced(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if route := getattr(scope.get("route"), "path", ""):
                        span.update_name(f"{method} {route}")
                        span.set_attribute("http.route", route)
                await send(message)

            await self._app(scope, receive, traced)
