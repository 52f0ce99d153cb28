"""The conformance suite of tools: what Factotum relies on, tried on a tool and the system that it acts on.

    report = await check_tool(badges.issue, World(settings=..., arguments=..., standing=...))
    report.assert_passed()

The suite calls the tool's own functions, without a tool executor: it does to them what an executor does, and what a
kill does to an executor. Needs the extra `factotum[testing]`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from factotum.sdk.conformance import declaration, once, refusals
from factotum.sdk.conformance.trial import Trial
from factotum.sdk.conformance.world import Check, Fault, S, World
from factotum.sdk.tool import Tool

__all__ = ["Check", "Report", "World", "check_tool"]

Step = Callable[[Trial[Any]], Awaitable[Check]]

# In the order in which one would mend them.
STEPS: tuple[Step, ...] = (
    declaration.spec,
    declaration.examples,
    declaration.invalid_arguments,
    once.a_call,
    once.a_repeated_call,
    once.a_call_never_made,
    once.a_lost_answer,
    once.a_cut_at_every_wait,
    refusals.a_system_that_is_away,
    refusals.refused_credentials,
)


@dataclass(frozen=True, slots=True)
class Report:
    tool: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    def assert_passed(self) -> None:
        """Raises `AssertionError` with the whole report."""
        if not self.passed:
            raise AssertionError(str(self))

    def __str__(self) -> str:
        return "\n".join([self.tool, *(f"  {check}" for check in self.checks)])


async def check_tool(tool: Tool[Any, Any, S], world: World[S]) -> Report:
    """Tries a tool, each property with calls of its own."""
    trial = Trial(tool, world)
    checks = []
    with _logged() as log:
        for step in STEPS:
            title = step.__name__.replace("_", " ")
            try:
                checks.append(await step(trial))
            except Fault as fault:
                checks.append(Check(title, False, str(fault)))
            # Whatever a third party's tool or world raises is a finding, not the end of the suite.
            except Exception as error:
                checks.append(Check(title, False, f"{type(error).__name__}: {error}"))
    checks += [refusals.declared_errors(trial), refusals.told_secrets(trial, "".join(log))]
    return Report(tool.spec.name, tuple(checks))


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What is logged meanwhile, at any level, by the standard library's loggers."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{self.format(record)}\n")

    root, handler = logging.getLogger(), Keeping(logging.DEBUG)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
