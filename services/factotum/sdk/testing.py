"""The conformance suite of tools: what Factotum relies on, tried on a tool and the system that it acts on.

    report = await check_tool(badges.issue, World(settings=..., arguments=..., standing=...))
    report.assert_passed()

The suite calls the tool's own functions, without a tool executor: it does to them what an executor does, and what a
kill does to an executor. Needs the extra `factotum[testing]`.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any, TextIO

from factotum.sdk.conformance import compensation, declaration, once, refusals
from factotum.sdk.conformance.trial import Trial, Undecided
from factotum.sdk.conformance.world import Check, Fault, S, World
from factotum.sdk.errors import ToolError
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
    once.two_calls_alike,
    once.a_call_never_made,
    once.a_lost_answer,
    once.a_cut_at_every_wait,
    compensation.compensation,
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
    """Tries a tool, each property with calls of its own; one that narrows itself, as it is with such arguments."""
    trial = Trial(await _narrowed(tool, world), world)
    checks = []
    with _heard() as heard:
        for step in STEPS:
            title = step.__name__.replace("_", " ")
            try:
                checks.append(await step(trial))
            except Undecided as undecided:
                checks.append(Check(title, None, f"a person is asked: {undecided}"))
            except Fault as fault:
                checks.append(Check(title, False, str(fault)))
            # Whatever a third party's tool or world raises is a finding, not the end of the suite.
            except Exception as error:
                trial.told.append(str(error))
                checks.append(Check(title, False, f"{type(error).__name__}: {error}"))
    checks += [refusals.declared_errors(trial), refusals.told_secrets(trial, heard.getvalue())]
    return Report(tool.spec.name, tuple(checks))


async def _narrowed(tool: Tool[Any, Any, S], world: World[S]) -> Tool[Any, Any, S]:
    if tool.narrower is None:
        return tool
    trial = Trial(tool, world)
    try:
        return tool.narrowed(*await tool.narrower(trial.read(await trial.arguments()), trial.context()))
    except ToolError:
        return tool


class Copied(io.TextIOBase):
    """Writes to the stream and keeps what is written."""

    def __init__(self, stream: TextIO, kept: io.StringIO) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str, /) -> int:
        self._kept.write(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


@contextmanager
def _heard() -> Iterator[io.StringIO]:
    """What is printed meanwhile, and logged, at any level, by the standard library's loggers."""
    kept = io.StringIO()
    root, handler = logging.getLogger(), logging.StreamHandler(kept)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with redirect_stdout(Copied(sys.stdout, kept)), redirect_stderr(Copied(sys.stderr, kept)):
            yield kept
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
