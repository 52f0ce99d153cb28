"""OpenTelemetry: one trace from the webhook to the memory record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from factotum.runtime import logs
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import TelemetrySettings
from factotum.runtime.spans import MaskedExporter, Uncollected

# Attributes of our spans; the collector of the local stack finds a run's trace by the first.
RUN_ID = "factotum.run_id"
TENANT = "factotum.tenant"


def setup(service: str, settings: TelemetrySettings, known: Known | None = None) -> TracerProvider | Uncollected:
    """Sets up logs, traces and metrics of this process. Call once, in `main.py`, before anything is traced.

    Spans are exported in batches, every half second, if an endpoint is configured, and not made otherwise; the
    returned provider's `shutdown()` flushes them.

    Args:
        known: secrets that neither a line of the logs nor a span shows.
    """
    logs.setup(service, settings, None if known is None else known.value)
    resource = Resource.create({"service.name": service, "service.namespace": "factotum"})
    endpoint = settings.otlp_endpoint.rstrip("/")
    provider = _exporting(endpoint, resource, known) if endpoint else Uncollected()
    trace.set_tracer_provider(provider)
    if endpoint and settings.otlp_metrics:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{endpoint}/v1/metrics", timeout=5))
        metrics.set_meter_provider(MeterProvider([reader], resource=resource))
    # A stranger may continue a trace; his baggage would travel on to every process and message.
    propagate.set_global_textmap(TraceContextTextMapPropagator())
    return provider


def _exporting(endpoint: str, resource: Resource, known: Known | None) -> TracerProvider:
    exporter: SpanExporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=5)
    if known is not None:
        exporter = MaskedExporter(exporter, known)
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
    return provider


def traceparent() -> str:
    """The current span as W3C's Trace Context writes it; empty where there is none."""
    span = trace.get_current_span().get_span_context()
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}" if span.is_valid else ""


def context_from_headers(headers: Mapping[str, bytes] | Iterable[tuple[str, bytes]] | None) -> Context:
    """The trace context that a Kafka message carries; an empty one if it carries none."""
    pairs = headers.items() if isinstance(headers, Mapping) else (headers or ())
    return propagate.extract({name: value.decode("latin-1") for name, value in pairs if value is not None})
