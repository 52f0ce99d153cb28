"""Which errors a `catch` takes, and when the `try` is tried again. Source: DSL 1.0.3, "Try" and "Retry"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from factotum.procedures import expressions
from factotum.procedures.retries import Retry
from factotum.procedures.tasks import Catch
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

# Without a limit of its own a retry ends here, so that a fault that stays becomes visible.
DEFAULT_ATTEMPTS = 10
# A back-off that doubles would otherwise pass every calendar.
LONGEST_DELAY_SECONDS = 30 * 86_400.0
# The same standard types under the addresses that earlier texts of the specification, its examples and
# its conformance kit give them.
_STANDARD = re.compile(r"https://serverlessworkflow\.io(?:\.io)?/(?:dsl/errors/types|spec/1\.0\.0/errors)/(\w+)")


@dataclass(frozen=True, slots=True)
class Caught:
    """A `catch` where it stands."""

    run: Interpreter
    catch: Catch
    pointer: str
    place: Place


async def catches(caught: Caught, error: Problem, arguments: Mapping[str, Any]) -> bool:
    """Whether the error has every property of the filter and passes `when` and `exceptWhen`."""
    found = {**error.as_json(), "details": error.detail}
    catch = caught.catch
    if any(not _same(found.get(name), wanted) for name, wanted in catch.errors.with_.items()):
        return False
    return await _applies(caught, catch.when, catch.except_when, arguments)


async def retry_delay(caught: Caught, attempt: int, first_failure: float, arguments: Mapping[str, Any]) -> float | None:
    """Seconds to wait before the next try; None if there is none.

    Args:
        attempt: how many tries have failed, from 1.
        first_failure: when the first of them did, POSIX seconds.
    """
    run, value = caught.run, caught.place.value
    retry = run.retry(caught.catch)
    if retry is None or attempt >= (retry.limit.attempt.count or _attempts(retry)):
        return None
    if not await _applies(caught, retry.when, retry.except_when, arguments):
        return None
    where = f"{caught.pointer}/catch/retry"
    delay = await run.seconds(retry.delay, value, arguments, f"{where}/delay")
    if retry.backoff.linear is not None:
        delay *= attempt
    elif retry.backoff.exponential is not None:
        delay *= 2.0 ** min(attempt - 1, 64)
    if retry.jitter is not None:
        least = await run.seconds(retry.jitter.from_, value, arguments, f"{where}/jitter/from")
        most = await run.seconds(retry.jitter.to, value, arguments, f"{where}/jitter/to")
        delay += least + (most - least) * run.effects.random()
    delay = min(delay, LONGEST_DELAY_SECONDS)
    if retry.limit.duration is not None:
        limit = await run.seconds(retry.limit.duration, value, arguments, f"{where}/limit/duration")
        if run.effects.now().timestamp() + delay > first_failure + limit:
            return None
    return delay


def _attempts(retry: Retry) -> float:
    return DEFAULT_ATTEMPTS if retry.limit.duration is None else float("inf")


async def _applies(caught: Caught, when: str | None, except_when: str | None, arguments: Mapping[str, Any]) -> bool:
    run, value, where = caught.run, caught.place.value, f"{caught.pointer}/catch"
    if when is not None and not expressions.truthy(await run.shape(when, value, arguments, f"{where}/when")):
        return False
    return except_when is None or not expressions.truthy(
        await run.shape(except_when, value, arguments, f"{where}/exceptWhen")
    )


def _same(found: Any, wanted: Any) -> bool:
    if found == wanted:
        return True
    if not isinstance(found, str) or not isinstance(wanted, str):
        return False
    one, other = _STANDARD.fullmatch(found), _STANDARD.fullmatch(wanted)
    return one is not None and other is not None and one[1] == other[1]
