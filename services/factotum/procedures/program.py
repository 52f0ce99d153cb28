"""jq programs: compiled once, pure, and run in process only where they are shown to be cheap."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jq

from factotum.procedures import purity, reading, syntax
from factotum.procedures.analysis import folded_size, work_of
from factotum.procedures.bounds import Bound
from factotum.procedures.cost import CHARACTERS, Guard
from factotum.procedures.lexing import SyntaxFault

Json = Any

LONGEST_QUOTED = 300
# What a program may do in process: steps of about 100 ns. Meanwhile no other thread of the process runs.
MOST_STEPS = 600_000
# jq computes constants when it compiles: a text that is repeated is made then.
LARGEST_CONSTANT = 10_000
_MOST_DATA = 2**40


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
        compiled: gives `[result]`, or null if there is no result; nothing at all if a guard halted it.
        arguments: the names that it must be given.
        most_data: the size of the data (see `cost`) up to which it is shown to be cheap; -1 for none.
        path: of a program that is nothing but a path (`.a.b`, `$x.c`), the variable (None: the value) and the
            keys. It is walked without jq, to which all the data would have to be written: most are such.
    """

    text: str
    compiled: Any
    arguments: frozenset[str]
    most_data: int
    path: tuple[str | None, tuple[str, ...]] | None = None


def prepare(text: str) -> Program:
    """The compiled program of a text. Raises `ExpressionError`, the same each time."""
    prepared = _prepared(text)
    if isinstance(prepared, str):
        raise ExpressionError(prepared)
    return prepared


@lru_cache(maxsize=4096)
def _prepared(text: str) -> Program | str:
    try:
        tree = reading.read(text)
        purity.check(tree)
        if folded_size(tree) > LARGEST_CONSTANT:
            raise SyntaxFault(f"a constant in it has more than {LARGEST_CONSTANT} characters")
        arguments = syntax.free_variables(tree)
        work, guards = work_of(tree)
        compiled = _compile(_guarded(text, guards), arguments)
        return Program(text, compiled, arguments, _most_data(work), _path(tree))
    except ValueError as error:
        return f"{quoted(text)}: {first_line(error)}"


@lru_cache(maxsize=256)
def _unguarded(text: str) -> Program:
    program = prepare(text)
    return Program(text, _compile(text, program.arguments), program.arguments, _MOST_DATA)


def _compile(text: str, arguments: frozenset[str]) -> Any:
    """The arguments are not bound by jq, which would compile anew for each value, but taken from the input."""
    binding = ", ".join(f"{name}: ${name}" for name in sorted(arguments))
    head = f".a as {{{binding}}} | .v | " if arguments else ".v | "
    # The newline ends a comment that would otherwise swallow the closing parenthesis.
    return jq.compile(f"{head}((({text}\n) | [.]), null)")


def _guarded(text: str, guards: frozenset[Guard]) -> str:
    """The program with a check at each guarded place. `halt` cannot be caught within the program, as an error could."""
    inserted: list[tuple[int, int, int, str]] = []
    for guard in guards:
        check = f"if {guard.condition} then halt else . end"
        width = guard.end - guard.start
        # Of two that begin together the wider opens first; of two that end together it closes last.
        inserted.append((guard.start, 1, -width, f"({check}|" if guard.before else "("))
        inserted.append((guard.end, 0, width, ")" if guard.before else f"\n|{check})"))
    parts, position = [], 0
    for place, _, _, addition in sorted(inserted):
        parts += [text[position:place], addition]
        position = place
    return "".join([*parts, text[position:]])


def _most_data(work: Bound) -> int:
    """The largest size of data whose work stays within the steps allowed."""
    if work.value(1) > MOST_STEPS:
        return -1
    low, high = 1, _MOST_DATA
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if work.value(middle) <= MOST_STEPS else (low, middle - 1)
    return low


def quoted(text: str) -> str:
    """A program as it stands in an error: in quotes, a long one cut."""
    return repr(text if len(text) <= LONGEST_QUOTED else f"{text[:LONGEST_QUOTED]}…")


def first_line(error: ValueError) -> str:
    lines = re.sub(r"^jq: error: ", "", str(error)).splitlines() or [""]
    return lines[0].split(" at <top-level>")[0]


def run_cheap(text: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """The first result of a program, null if there is none. Raises `TooCostly`, `ExpressionError`."""
    program = prepare(text)
    if program.path is not None and (found := _walked(program.path, value, arguments)) is not _ELSEWHERE:
        return found
    data = _data(program, value, arguments)
    # A value's JSON has no fewer characters than its size, and is at hand.
    if len(data) > program.most_data and not is_at_most(
        [value, *(arguments[name] for name in program.arguments)], program.most_data
    ):
        raise TooCostly(text, value, arguments)
    results = _run(program, data)
    if results is _HALTED:
        raise TooCostly(text, value, arguments)
    return None if results is None else results[0]


def run_unbounded(text: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """As `run_cheap` for any program: may take any time and memory, and holds the GIL meanwhile."""
    program = _unguarded(text)
    results = _run(program, _data(program, value, arguments))
    return None if results is None else results[0]


def is_at_most(value: Json, most: int) -> bool:
    """Whether a value is no larger than this; looks no further than needed."""
    left, size = [value], 0.0
    while left:
        current = left.pop()
        size += 1
        if isinstance(current, str):
            size += len(current) / CHARACTERS
        elif isinstance(current, int):
            size += current.bit_length() / 64
        elif isinstance(current, Mapping):
            left.extend(current)
            left.extend(current.values())
        elif isinstance(current, list | tuple):
            left.extend(current)
        if size + len(left) > most:
            return False
    return True


_ELSEWHERE = object()


def _path(tree: syntax.Node) -> tuple[str | None, tuple[str, ...]] | None:
    """The variable and the keys of a program that is a path; None for any other, and for keys with escapes."""
    keys: list[str] = []
    while isinstance(tree, syntax.Index):
        key = tree.key
        if not isinstance(key, syntax.Text) or key.inserted or "\\" in key.text:
            return None
        keys.append(key.text)
        tree = tree.target
    if isinstance(tree, syntax.Identity):
        return None, tuple(reversed(keys))
    return (tree.name, tuple(reversed(keys))) if isinstance(tree, syntax.Variable) else None


def _walked(path: tuple[str | None, tuple[str, ...]], value: Json, arguments: Mapping[str, Json]) -> Json:
    """What stands at a path; `_ELSEWHERE` where jq has to say what is wrong."""
    variable, keys = path
    if variable is not None:
        value = arguments.get(variable, _ELSEWHERE)
    for key in keys:
        if value is None:
            return None
        if not isinstance(value, dict):
            return _ELSEWHERE
        value = value.get(key)
    return value


def _data(program: Program, value: Json, arguments: Mapping[str, Json]) -> str:
    missing = program.arguments - arguments.keys()
    if missing:
        raise ExpressionError(f"{quoted(program.text)}: ${min(missing)} is not available here")
    try:
        return json.dumps({"v": value, "a": {name: arguments[name] for name in program.arguments}})
    except (RecursionError, TypeError, ValueError) as error:
        raise ExpressionError(f"{quoted(program.text)}: its data is no JSON: {error}") from error


_HALTED = object()


def _run(program: Program, data: str) -> Any:
    try:
        return next(iter(program.compiled.input_text(data)), _HALTED)
    except ValueError as error:
        raise ExpressionError(f"{quoted(program.text)}: {first_line(error)}") from error
