"""Where nobody collects spans none are made, and the trace goes on; the current span ends as its block does."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from factotum.runtime import spans, telemetry

uncollected = spans.Uncollected().get_tracer("test")


def collected() -> tuple[InMemorySpanExporter, trace.Tracer]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, provider.get_tracer("test")


def test_what_is_not_collected_is_no_link_of_the_chain() -> None:
    _, tracer = collected()
    with spans.current(tracer, "caller"):
        outside = telemetry.traceparent()
        with spans.current(uncollected, "here", attributes={"a": 1}) as span:
            assert telemetry.traceparent() == outside and not span.is_recording()
            with spans.current(uncollected, "further inside"):
                assert telemetry.traceparent() == outside


def test_without_a_caller_that_traces_ids_are_made_which_others_continue() -> None:
    with spans.current(uncollected, "here"):
        inside = telemetry.traceparent()
        exporter, tracer = collected()
        with spans.current(tracer, "called"):
            pass
    version, trace_id, span_id, flags = inside.split("-")
    (called,) = exporter.get_finished_spans()
    assert (version, flags) == ("00", "01") and called.parent is not None
    assert (format(called.context.trace_id, "032x"), format(called.parent.span_id, "016x")) == (trace_id, span_id)
    with spans.current(uncollected, "another"):
        assert telemetry.traceparent() != inside
    assert telemetry.traceparent() == ""


@pytest.mark.parametrize(
    ("error", "faults", "told"),
    [
        (LookupError("x"), True, ["exception"]),
        (LookupError("x"), False, []),
        # What ends a task is no fault of the span.
        (KeyboardInterrupt(), True, []),
        (None, True, []),
    ],
)
def test_an_exception_is_told_and_goes_on(error: BaseException | None, faults: bool, told: list[str]) -> None:
    exporter, tracer = collected()
    try:
        with spans.current(tracer, "here", attributes={"a": 1}, faults=faults):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    (span,) = exporter.get_finished_spans()
    assert [event.name for event in span.events] == told and dict(span.attributes or {}) == {"a": 1}
    assert (span.status.status_code is StatusCode.ERROR) == bool(told)
    if told:
        assert span.status.description == "LookupError: x"
    assert telemetry.traceparent() == ""
