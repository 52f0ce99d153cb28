"""Regular expressions that end soon on every text: those that a schema may have, since the worker matches them.

A repetition of something that can itself take more or less of a text (`(a+)+`, `(a|aa)*`) tries a number of ways
that doubles with each character. What is left grows with a power of the length, by how many repetitions there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as codes
from re import _parser as parser
from typing import Any

# Repetitions without an upper bound in one pattern: the power that the tries grow with.
MOST_REPETITIONS = 4
# Up to so many times a repetition counts as bounded.
BOUNDED = 64

_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT)


def fault_of(pattern: str) -> str | None:
    """Why the pattern may not be used; None if it may."""
    try:
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{pattern!r} is not a regular expression: {error}"
    unbounded = 0
    for operation, argument in _walk(tree):
        if operation in (codes.GROUPREF, codes.GROUPREF_EXISTS):
            return f"the pattern {pattern!r} refers back to a group, which may try without end"
        if operation in _REPEATS:
            _, most, body = argument
            if most > 1 and any(_varies(*inner) for inner in _walk(body)):
                return f"the pattern {pattern!r} repeats what is itself of no fixed length, which may try without end"
            unbounded += most > BOUNDED
    if unbounded > MOST_REPETITIONS:
        return f"the pattern {pattern!r} has more than {MOST_REPETITIONS} repetitions without an upper bound"
    return None


def _walk(tree: Iterable[tuple[Any, Any]]) -> Iterable[tuple[Any, Any]]:
    for operation, argument in tree:
        yield operation, argument
        for inner in _inside(operation, argument):
            yield from _walk(inner)


def _inside(operation: Any, argument: Any) -> list[Any]:
    """The patterns inside one operation."""
    if operation in _REPEATS:
        return [argument[2]]
    if operation is codes.SUBPATTERN:
        return [argument[3]]
    if operation is codes.BRANCH:
        return list(argument[1])
    if operation in (codes.ASSERT, codes.ASSERT_NOT):
        return [argument[1]]
    if operation is codes.ATOMIC_GROUP:
        return [argument]
    return []


def _varies(operation: Any, argument: Any) -> bool:
    """Whether an operation by itself can take more or less of a text."""
    if operation in _REPEATS:
        return bool(argument[0] != argument[1])
    return operation is codes.BRANCH and len({inner.getwidth() for inner in argument[1]}) > 1
