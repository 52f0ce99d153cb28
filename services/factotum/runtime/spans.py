"""Spans: without secrets, whoever wrote them; for nothing where nobody collects them; and the current one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.util.types import Attributes

from factotum.runtime.secrets.mask import Known

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class current:
    """`with current(tracer, name) as span`: what `tracer.start_as_current_span` does, which makes three generators
    for it and takes as long as all the rest of a span.

    Args:
        parent: the context of the span that it is a part of; None: of the current one.
        faults: an exception that leaves the block is one of the span.
    """

    __slots__ = ("_faults", "_span", "_token")

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        *,
        parent: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        faults: bool = True,
    ) -> None:
        self._span = tracer.start_span(name, parent, kind, attributes)
        self._faults = faults
        self._token: Any = None

    def __enter__(self) -> Span:
        # Where no spans are made it is the current one already, as a rule: a context of its own would say the same.
        if self._span.is_recording() or self._span is not trace.get_current_span():
            self._token = otel.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._token is not None:
            otel.detach(self._token)
        if self._faults and isinstance(error, Exception):
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._span.end()


class Uncollected(trace.TracerProvider):
    """Makes no spans. What is done here belongs to the caller's span, so that a trace has no link that is nowhere to
    be found; without a caller that traces, ids are made, which the others continue and the logs show."""

    def get_tracer(self, *_: Any, **__: Any) -> Tracer:
        return _NoSpans()

    def shutdown(self) -> None:
        """There is nothing to send."""


class _NoSpans(trace.NoOpTracer):
    def start_span(self, name: str, context: Context | None = None, *_: Any, **__: Any) -> Span:
        here = trace.get_current_span(context)
        if not here.get_span_context().is_valid:
            return NonRecordingSpan(SpanContext(_id(128), _id(64), is_remote=False, trace_flags=_SAMPLED))
        return here if isinstance(here, NonRecordingSpan) else NonRecordingSpan(here.get_span_context())


def _id(bits: int) -> int:
    """As the standard wants it: any number but 0."""
    return random.getrandbits(bits) or 1


class MaskedExporter(SpanExporter):
    """Takes known secrets out of names, attributes, events and the message of the status, then exports."""

    def __init__(self, inner: SpanExporter, known: Known) -> None:
        self._inner = inner
        self._known = known

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([self._masked(span) for span in spans] if self._known else spans)

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def _masked(self, span: ReadableSpan) -> ReadableSpan:
        status = span.status
        if status.description is not None:
            status = Status(status.status_code, self._known.text(status.description))
        return ReadableSpan(
            name=self._known.text(span.name),
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[
                Event(self._known.text(event.name), self._attributes(event.attributes), event.timestamp)
                for event in span.events
            ],
            links=span.links,
            kind=span.kind,
            status=status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Attributes) -> Attributes:
        return {name: self._known.value(value) for name, value in (attributes or {}).items()}
