"""Which errors a `catch` takes, and when the `try` is tried again. Source: DSL 1.0.3, "Try" and "Retry"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from factotum.procedures.expressions import evaluate_expression, truthy
from factotum.procedures.retries import Retry
from factotum.procedures.tasks import Catch
from factotum.workflows.problem import Problem

# Without a limit of its own a retry ends here, so that a fault that stays becomes visible.
DEFAULT_ATTEMPTS = 10


def catches(catch: Catch, error: Problem, value: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether the error has every property of the filter and passes `when` and `exceptWhen`."""
    found = error.as_json()
    if any(found.get(name) != wanted for name, wanted in catch.errors.with_.items()):
        return False
    return _applies(catch.when, catch.except_when, value, arguments)


def retry_delay(retry: Retry | None, attempt: int, value: Any, arguments: Mapping[str, Any]) -> float | None:
    """Seconds to wait before the next try; None if there is none.

    Args:
        attempt: how many tries have failed, from 1.
    """
    if retry is None or attempt >= (retry.limit.attempt.count or DEFAULT_ATTEMPTS):
        return None
    if not _applies(retry.when, retry.except_when, value, arguments):
        return None
    delay = retry.delay.total_seconds
    if retry.backoff.linear is not None:
        return delay * attempt
    if retry.backoff.exponential is not None:
        return float(delay * 2 ** (attempt - 1))
    return delay


def _applies(when: str | None, except_when: str | None, value: Any, arguments: Mapping[str, Any]) -> bool:
    if when is not None and not truthy(evaluate_expression(when, value, arguments)):
        return False
    return except_when is None or not truthy(evaluate_expression(except_when, value, arguments))
