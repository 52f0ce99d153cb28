"""Structured logs with the current trace's id in every line."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

from factotum.runtime.settings import TelemetrySettings


def _trace_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:
        """Says what could not be written by its place: the line's own words are masked by nobody here."""
        reason = type(sys.exc_info()[1]).__name__
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(
                f"a line of {record.name} could not be written ({reason}): {record.pathname}:{record.lineno}\n"
            )


def setup(service: str, settings: TelemetrySettings, masked: Callable[[Any], Any] | None = None) -> None:
    """Sends the logs of this process, the standard library's and its warnings too, to standard error.

    Args:
        masked: takes out of a line's values what must not be shown, tracebacks and whatever a library wrote
            included.
    """

    def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        shown: EventDict = event if masked is None else masked(event)
        return shown

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _trace_id,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer()
    )
    handler = _Handler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level)
    logging.captureWarnings(True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
