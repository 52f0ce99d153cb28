"""Whether the expressions of a document parse, are pure, end, and use what they are given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jq

from factotum.procedures import expressions, purity, reading
from factotum.procedures.analysis import folded_size
from factotum.procedures.checks import nearest, secrets
from factotum.procedures.checks.places import Place
from factotum.procedures.checks.scopes import Names
from factotum.procedures.fault import Fault
from factotum.procedures.program import LARGEST_CONSTANT
from factotum.procedures.syntax import Node, free_variables

ADVICE = "Expressions are jq, pure and bounded"
_CLOSE = "Close it, after what is opened inside of it"
# How many programs jq compiles at once: what takes it long is its own library, each time anew.
_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class Program:
    """An expression in its place. `pointer` is that of the very text."""

    pointer: str
    text: str
    place: Place


def faults(places: Iterable[Place], *, loose: bool, declared: tuple[str, ...]) -> Iterator[Fault]:
    """The faults of the expressions in these places.

    Args:
        loose: a text that is no expression is a text.
        declared: the names of the secrets.
    """
    found: list[Program] = []
    for place in places:
        for each in programs(place, loose=loose):
            if isinstance(each, Program):
                found.append(each)
            elif not loose:
                yield each
    sound = _compiled({program.text for program in found})
    for program in found:
        try:
            wanted = _wanted(program.text, sound)
        except expressions.ExpressionError as error:
            if not loose:
                yield Fault(program.pointer, str(error), ADVICE)
            continue
        yield from _names(program, wanted, loose, declared)


def programs(place: Place, *, loose: bool = False) -> Iterator[Program | Fault]:
    """The expressions in a place, and the fault of a `${` that is not closed."""
    if place.whole and isinstance(place.value, str):
        try:
            yield Program(place.pointer, expressions.program_of(place.value), place)
        except expressions.ExpressionError as error:
            yield Fault(place.pointer, str(error), _CLOSE)
        return
    for relative, text in texts(place.value):
        pointer = place.pointer + relative
        if "${" in text:
            try:
                yield from (Program(pointer, program, place) for _, _, program in expressions.interpolations(text))
            except expressions.ExpressionError as error:
                yield Fault(pointer, str(error), _CLOSE)
        elif loose:
            yield Program(pointer, text, place)


def texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every text inside a value as (JSON pointer below the value, text)."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from ((f"/{expressions.escape(str(key))}{pointer}", text) for pointer, text in texts(inner))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from ((f"/{index}{pointer}", text) for pointer, text in texts(inner))


# More than a document of the longest kind has, so that each text is read once.
@lru_cache(maxsize=16384)
def tree(text: str) -> Node | None:
    """The tree of a program that may be compiled; None for one that may not."""
    try:
        node = reading.read(text)
        purity.check(node)
    except ValueError:
        return None
    return node if folded_size(node) <= LARGEST_CONSTANT else None


def _names(program: Program, wanted: Names, loose: bool, declared: tuple[str, ...]) -> Iterator[Fault]:
    known = program.place.names | ({secrets.SECRETS} if program.place.secrets else frozenset())
    for name in sorted(wanted - known):
        if name == secrets.SECRETS:
            yield Fault(program.pointer, secrets.REFUSED, secrets.WHERE)
        elif not loose:
            yield Fault(program.pointer, f"`${name}` is not available here", _instead(name, known))
    if secrets.SECRETS in wanted & known:
        node = tree(program.text)
        found = [("`$secrets` is used in a way that cannot be followed", "Write `$secrets.name`")]
        for message, advice in found if node is None else secrets.misuses(node, declared):
            yield Fault(program.pointer, message, advice)


def _instead(name: str, known: Names) -> str:
    if name == "input" and "task" in known:
        return "Nothing has been made the task's input yet: `.` is what it is given"
    if name == "authorization":
        return "Only a task with an `authentication` has one"
    lead = "Here are" if len(known) > 1 else "Here is"
    return nearest.among(f"${name}", (f"${each}" for each in known), "Here is only the value, `.`", lead=lead)


def _wanted(text: str, sound: frozenset[str]) -> Names:
    """The names that a program must be given. Raises `ExpressionError` if it may not run."""
    node = tree(text)
    if node is not None and text in sound:
        return free_variables(node)
    return expressions.compile_program(text)[1]


def _compiled(texts: Iterable[str]) -> frozenset[str]:
    """Those programs that jq is known to take, compiled many at once: one by one it takes a hundred times longer."""
    candidates = sorted(text for text in texts if tree(text) is not None)
    batches = (candidates[start : start + _TOGETHER] for start in range(0, len(candidates), _TOGETHER))
    return frozenset[str]().union(*(batch for batch in batches if _together(batch)))


def _together(batch: list[str]) -> bool:
    """Whether jq takes all of these programs."""
    nodes = [node for text in batch if (node := tree(text)) is not None]
    names = sorted(frozenset[str]().union(*(free_variables(node) for node in nodes)))
    head = f". as {{{', '.join(f'{name}: ${name}' for name in names)}}} | " if names else ""
    # The newline ends a comment that would otherwise swallow what follows.
    programs = ",".join(f"({text}\n)" for text in batch)
    try:
        jq.compile(f"{head}[{programs}]")
    except ValueError:
        return False
    return True
