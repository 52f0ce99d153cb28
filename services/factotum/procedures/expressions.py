"""Runtime expressions in texts and values: which parts are jq, and what becomes of them.

Source: DSL 1.0.3, "Runtime expressions" and "Evaluate". A string that is one `${ … }` takes the value
of the expression; a string with `${ … }` inside text is text. An expression's first result counts; none
is null. In `loose` mode every string is tried as an expression, and stays the text that it is if
that fails.

The functions here run a program in process only where it is shown to be cheap on its data
(`factotum.procedures.cost`). The synchronous ones raise `TooCostly` for any other; the asynchronous
ones hand it to the caller's `costly`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Literal

from factotum.procedures.program import ExpressionError, Json, TooCostly, prepare, run_cheap
from factotum.sdk import interpolation

__all__ = [
    "Costly",
    "ExpressionError",
    "Json",
    "Mode",
    "TooCostly",
    "compile_program",
    "escape",
    "evaluate",
    "evaluate_expression",
    "evaluate_program",
    "interpolations",
    "program_of",
    "programs_in",
    "resolve",
    "resolve_expression",
    "truthy",
]

Mode = Literal["strict", "loose"]
# Evaluates (program, value, arguments) within a bound. Raises `ExpressionError`.
Costly = Callable[[str, Json, Mapping[str, Json]], Awaitable[Json]]

MOST_TEXTS = 8192


@lru_cache(maxsize=MOST_TEXTS)
def interpolations(text: str) -> tuple[tuple[int, int, str], ...]:
    """Every `${ … }` of a text as (start, end, program). Raises `ExpressionError` for an open one."""
    try:
        return interpolation.interpolations(text)
    except ValueError as error:
        raise ExpressionError(str(error)) from None


def program_of(text: str) -> str:
    """The jq program of a property that is always an expression, with or without `${ }`."""
    stripped = text.strip()
    if stripped.startswith("${"):
        found = interpolations(stripped)
        if len(found) == 1 and found[0][:2] == (0, len(stripped)):
            return found[0][2]
    return stripped


def programs_in(value: Json) -> Iterator[tuple[str, str]]:
    """Every expression inside a value as (JSON pointer below the value, program)."""
    if isinstance(value, str):
        for _, _, program in interpolations(value):
            yield "", program
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            for pointer, program in programs_in(inner):
                yield f"/{escape(key)}{pointer}", program
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for pointer, program in programs_in(inner):
                yield f"/{index}{pointer}", program


def escape(key: str) -> str:
    """A key as a token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def compile_program(program: str) -> tuple[Any, frozenset[str]]:
    """A compiled program and the names of the arguments it must be given. Raises `ExpressionError`."""
    prepared = prepare(program)
    return prepared.compiled, prepared.arguments


def evaluate_program(program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """The first result of a program on a value. Raises `TooCostly`, `ExpressionError`."""
    return run_cheap(program, value, arguments)


def evaluate(template: Json, value: Json, arguments: Mapping[str, Json], mode: Mode = "strict") -> Json:
    """A template with every `${ … }` in it replaced by its value. Raises `TooCostly`, `ExpressionError`."""
    if isinstance(template, str):
        if "${" not in template and mode == "strict":
            return template
        return _evaluate_text(template, value, arguments, mode)
    if isinstance(template, Mapping):
        return {key: evaluate(inner, value, arguments, mode) for key, inner in template.items()}
    if isinstance(template, list):
        return [evaluate(inner, value, arguments, mode) for inner in template]
    return template


def evaluate_expression(expression: Json, value: Json, arguments: Mapping[str, Json], mode: Mode = "strict") -> Json:
    """As `evaluate`, for a property that is an expression by nature: `if`, `from`, `as`, `in`, `when`.

    A string is a program whether or not it stands in `${ }`; anything else is a template, and so is
    everything in loose mode.
    """
    if mode == "strict" and isinstance(expression, str):
        return run_cheap(_whole_program(expression), value, arguments)
    return evaluate(expression, value, arguments, mode)


async def resolve(
    template: Json, value: Json, arguments: Mapping[str, Json], costly: Costly, mode: Mode = "strict"
) -> Json:
    """As `evaluate`, with every program that is not shown to be cheap left to `costly`.

    Does not yield to the event loop unless there is one. Raises `ExpressionError`.
    """
    try:
        return evaluate(template, value, arguments, mode)
    except TooCostly:
        return await _resolve(template, value, arguments, costly, mode)


async def resolve_expression(
    expression: Json, value: Json, arguments: Mapping[str, Json], costly: Costly, mode: Mode = "strict"
) -> Json:
    """As `evaluate_expression`, with every program that is not shown to be cheap left to `costly`."""
    if mode == "strict" and isinstance(expression, str):
        return await _one(_whole_program(expression), value, arguments, costly)
    return await resolve(expression, value, arguments, costly, mode)


async def _resolve(template: Json, value: Json, arguments: Mapping[str, Json], costly: Costly, mode: Mode) -> Json:
    if isinstance(template, Mapping):
        return {key: await _resolve(inner, value, arguments, costly, mode) for key, inner in template.items()}
    if isinstance(template, list):
        return [await _resolve(inner, value, arguments, costly, mode) for inner in template]
    try:
        return evaluate(template, value, arguments, mode)
    except TooCostly:
        pass
    try:
        return await _resolve_text(template, value, arguments, costly)
    except ExpressionError:
        if mode == "strict":
            raise
        return template


async def _resolve_text(text: str, value: Json, arguments: Mapping[str, Json], costly: Costly) -> Json:
    pieces = _pieces(text)
    if isinstance(pieces, str):
        return await _one(pieces, value, arguments, costly)
    parts = [str(await _one(piece, value, arguments, costly)) if is_program else piece for is_program, piece in pieces]
    return "".join(parts)


async def _one(program: str, value: Json, arguments: Mapping[str, Json], costly: Costly) -> Json:
    try:
        return run_cheap(program, value, arguments)
    except TooCostly:
        return await costly(program, value, arguments)


def _evaluate_text(text: str, value: Json, arguments: Mapping[str, Json], mode: Mode) -> Json:
    try:
        pieces = _pieces(text)
        if isinstance(pieces, str):
            return run_cheap(pieces, value, arguments)
        return "".join(
            [_inserted(run_cheap(piece, value, arguments)) if is_program else piece for is_program, piece in pieces]
        )
    except TooCostly:
        raise
    except ExpressionError:
        if mode == "strict":
            raise
        return text


def _inserted(text: Json) -> str:
    """What stands in a text for the result of `… | tostring`: a program without a result is null."""
    return "null" if text is None else str(text)


@lru_cache(maxsize=MOST_TEXTS)
def _pieces(text: str) -> str | tuple[tuple[bool, str], ...]:
    """The one program that a text is, or its pieces as (whether it is a program, piece).

    A text without `${` is a program: in strict mode nobody asks.
    """
    return interpolation.pieces(text) if interpolations(text) else text


@lru_cache(maxsize=MOST_TEXTS)
def _whole_program(text: str) -> str:
    return program_of(text)


def truthy(value: Json) -> bool:
    """jq's notion of truth: everything but false and null."""
    return value is not None and value is not False
