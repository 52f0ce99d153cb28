"""jq programs: compiled once, pure, and run in process only where they are shown to be cheap."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jq

from factotum.procedures import purity

Json = Any

LONGEST_QUOTED = 300


class ExpressionError(ValueError):
    """An expression does not parse, is not allowed, or failed on its data."""


class TooCostly(ExpressionError):
    """The program is not shown to be cheap on this value: it must run where it can be stopped."""

    def __init__(self, program: str, value: Json, arguments: Mapping[str, Json]) -> None:
        super().__init__(f"{quoted(program)}: not shown to be cheap on this value")
        self.program, self.value, self.arguments = program, value, arguments


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled program.

    Attributes:
        arguments: the names that it must be given.
    """

    text: str
    compiled: Any
    arguments: frozenset[str]


def prepare(text: str) -> Program:
    """The compiled program of a text. Raises `ExpressionError`, the same one each time."""
    prepared = _prepared(text)
    if isinstance(prepared, ExpressionError):
        raise prepared.with_traceback(None)
    return prepared


@lru_cache(maxsize=4096)
def _prepared(text: str) -> Program | ExpressionError:
    try:
        purity.check(text)
        names = purity.variables(text)
        # A name that the program binds itself (`. as $x`) is shadowed there, so binding it here to null
        # would hide a typing error; only names that jq calls undefined are arguments.
        arguments = _undefined(text, names)
        binding = ", ".join(f"{name}: ${name}" for name in sorted(arguments))
        # The arguments are not bound by jq, which would compile anew for each value, but destructured
        # from the input.
        head = f".a as {{{binding}}} | .v | " if arguments else ".v | "
        # The newline ends a comment that would otherwise swallow the closing parenthesis.
        return Program(text, jq.compile(f"{head}({text}\n)"), arguments)
    except ValueError as error:
        return ExpressionError(f"{quoted(text)}: {first_line(error)}")


def _undefined(program: str, names: frozenset[str]) -> frozenset[str]:
    undefined = frozenset[str]()
    for name in sorted(names):
        bound = ", ".join(f"{other}: ${other}" for other in sorted(names - {name}))
        head = f". as {{{bound}}} | " if bound else ""
        try:
            jq.compile(f"{head}({program}\n)")
        except ValueError as error:
            if f"${name} is not defined" not in str(error):
                raise
            undefined |= {name}
    return undefined


def quoted(text: str) -> str:
    """A program as it stands in an error: in quotes, a long one cut."""
    return repr(text if len(text) <= LONGEST_QUOTED else f"{text[:LONGEST_QUOTED]}…")


def first_line(error: ValueError) -> str:
    return re.sub(r"^jq: error: ", "", str(error)).splitlines()[0].split(" at <top-level>")[0]


def run_cheap(text: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """The first result of a program, null if there is none. Raises `TooCostly`, `ExpressionError`."""
    return run_unbounded(text, value, arguments)


def run_unbounded(text: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """As `run_cheap` for any program: may take any time and memory, and holds the GIL meanwhile."""
    program = prepare(text)
    return _run(program, _data(program, value, arguments))


def _data(program: Program, value: Json, arguments: Mapping[str, Json]) -> str:
    missing = program.arguments - arguments.keys()
    if missing:
        raise ExpressionError(f"{quoted(program.text)}: ${min(missing)} is not available here")
    try:
        return json.dumps({"v": value, "a": {name: arguments[name] for name in program.arguments}})
    except (RecursionError, TypeError, ValueError) as error:
        raise ExpressionError(f"{quoted(program.text)}: its data is no JSON: {error}") from error


def _run(program: Program, data: str) -> Json:
    try:
        return next(iter(program.compiled.input_text(data)), None)
    except ValueError as error:
        raise ExpressionError(f"{quoted(program.text)}: {first_line(error)}") from error
