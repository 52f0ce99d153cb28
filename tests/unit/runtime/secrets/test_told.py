"""Neither the logs nor the spans of a process show a secret that it knows, whoever wrote them."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from factotum.runtime import logs
from factotum.runtime.secrets.mask import Known
from factotum.runtime.settings import TelemetrySettings
from factotum.runtime.spans import MaskedExporter

SECRET = 'hunter2"hunter2'


@pytest.fixture
def known() -> Known:
    made = Known()
    made.add(SECRET)
    return made


@contextmanager
def logging_to_stderr(known: Known, *, as_json: bool) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.setup("test", TelemetrySettings(log_json=as_json, log_level="DEBUG"), known.value)
    # A logger that was made earlier holds on to the stream of that time.
    structlog.configure(cache_logger_on_first_use=False)
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        logging.captureWarnings(False)
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_line_of_the_log_is_without_secrets(known: Known, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    with logging_to_stderr(known, as_json=as_json):
        log = structlog.get_logger("ours")
        log.info(f"at {SECRET}", **{SECRET: [SECRET, {"a": SECRET.encode()}]}, error=ValueError(SECRET))
        try:
            try:
                raise KeyError(SECRET)
            except KeyError as error:
                raise RuntimeError(f"while at {SECRET}") from error
        except RuntimeError:
            log.exception("it failed")
            logging.getLogger("theirs").exception("GET https://x.example/?key=%s", SECRET, extra={"header": SECRET})
        logging.getLogger("httpcore2").debug("headers %r", [(b"Authorization", SECRET.encode())])
        logging.getLogger("theirs").info("of no number: %d", SECRET)  # what logging itself would show as it is
        warnings.warn(f"deprecated: {SECRET}", stacklevel=1)
    written = capsys.readouterr().err
    assert written.count("***") >= 8
    for told in ("while at", "deprecated", "Authorization", "could not be written"):
        assert told in written
    assert SECRET not in written and json.dumps(SECRET)[1:-1] not in written


def test_a_span_is_without_secrets(known: Known) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(MaskedExporter(kept, known)))
    tracer = provider.get_tracer("test")
    with pytest.raises(RuntimeError), tracer.start_as_current_span(f"GET {SECRET}") as span:
        span.set_attributes({"url": f"https://x.example/?key={SECRET}", "many": [SECRET, "b"], "count": 3})
        span.add_event(SECRET, {"text": SECRET})
        raise RuntimeError(f"at {SECRET}")
    with tracer.start_as_current_span("fails") as span:
        span.set_status(Status(StatusCode.ERROR, f"the system says: {SECRET}"))
    first, second = kept.get_finished_spans()
    assert first.name == "GET ***"
    assert first.attributes == {"url": "https://x.example/?key=***", "many": ["***", "b"], "count": 3}
    assert first.context is not None and first.context.is_valid
    assert second.status.description == "the system says: ***"
    told = first.to_json() + second.to_json()
    assert SECRET not in told and json.dumps(SECRET)[1:-1] not in told
    assert "RuntimeError" in told
    provider.shutdown()
