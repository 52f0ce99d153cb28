"""Runtime expressions: jq, compiled once, pure.

Source: DSL 1.0.3, "Runtime expressions"; strict mode. A string that is one `${ … }` takes the value of
the expression; a string with `${ … }` inside text is text. An expression's first result counts; none
is null.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import jq

from factotum.procedures import purity

Json = Any


class ExpressionError(ValueError):
    """An expression does not parse, is not allowed, or failed on its data."""


def interpolations(text: str) -> list[tuple[int, int, str]]:
    """Every `${ … }` of a text as (start, end, program). Raises `ExpressionError` for an open one."""
    found, position = [], 0
    while (start := text.find("${", position)) != -1:
        end = _closing_brace(text, start + 2)
        found.append((start, end + 1, text[start + 2 : end].strip()))
        position = end + 1
    return found


def _closing_brace(text: str, position: int) -> int:
    depth, in_string, open_interpolations = 0, False, list[int]()
    while position < len(text):
        character = text[position]
        if in_string:
            if character == "\\":
                position += 1
                if text[position : position + 1] == "(":
                    open_interpolations.append(0)
                    in_string = False
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character == "(" and open_interpolations:
            open_interpolations[-1] += 1
        elif character == ")" and open_interpolations:
            if open_interpolations[-1] == 0:
                open_interpolations.pop()
                in_string = True
            else:
                open_interpolations[-1] -= 1
        elif character == "{":
            depth += 1
        elif character == "}":
            if depth == 0:
                return position
            depth -= 1
        position += 1
    raise ExpressionError("`${` is not closed by `}`")


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


@lru_cache(maxsize=4096)
def compile_program(program: str) -> tuple[Any, frozenset[str]]:
    """A compiled program and the names of the arguments it must be given.

    The arguments are not bound by jq, which would compile anew for each value, but destructured from
    the input. Raises `ExpressionError`.
    """
    try:
        purity.check(program)
        names = purity.variables(program)
        # A name that the program binds itself (`. as $x`) is shadowed there, so binding it here to null
        # would hide a typing error; only names that jq calls undefined are arguments.
        arguments = _undefined(program, names)
        binding = ", ".join(f"{name}: ${name}" for name in sorted(arguments))
        head = f".a as {{{binding}}} | .v | " if arguments else ".v | "
        # The newline ends a comment that would otherwise swallow the closing parenthesis.
        return jq.compile(f"{head}({program}\n)"), arguments
    except ValueError as error:
        raise ExpressionError(f"{program!r}: {_first_line(error)}") from error


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


def _first_line(error: ValueError) -> str:
    return re.sub(r"^jq: error: ", "", str(error)).splitlines()[0].split(" at <top-level>")[0]


def evaluate_program(program: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    """The first result of a program on a value. Raises `ExpressionError`."""
    compiled, wanted = compile_program(program)
    missing = wanted - arguments.keys()
    if missing:
        raise ExpressionError(f"{program!r}: ${min(missing)} is not available here")
    try:
        return next(iter(compiled.input_value({"v": value, "a": {name: arguments[name] for name in wanted}})), None)
    except ValueError as error:
        raise ExpressionError(f"{program!r}: {_first_line(error)}") from error


def evaluate(template: Json, value: Json, arguments: Mapping[str, Json]) -> Json:
    """A template with every `${ … }` in it replaced by its value. Raises `ExpressionError`."""
    if isinstance(template, str):
        return _evaluate_text(template, value, arguments)
    if isinstance(template, Mapping):
        return {key: evaluate(inner, value, arguments) for key, inner in template.items()}
    if isinstance(template, list):
        return [evaluate(inner, value, arguments) for inner in template]
    return template


def _evaluate_text(text: str, value: Json, arguments: Mapping[str, Json]) -> Json:
    found = interpolations(text)
    if not found:
        return text
    if len(found) == 1 and text.strip() == text[found[0][0] : found[0][1]]:
        return evaluate_program(found[0][2], value, arguments)
    parts, position = [], 0
    for start, end, program in found:
        inserted = evaluate_program(f"({program}\n) | tostring", value, arguments)
        parts += [text[position:start], str(inserted)]
        position = end
    return "".join([*parts, text[position:]])


def evaluate_expression(expression: Json, value: Json, arguments: Mapping[str, Json]) -> Json:
    """As `evaluate`, for a property that is an expression by nature: `if`, `from`, `as`, `in`, `when`.

    A string is a program whether or not it stands in `${ }`; anything else is a template.
    """
    if isinstance(expression, str):
        return evaluate_program(program_of(expression), value, arguments)
    return evaluate(expression, value, arguments)


def truthy(value: Json) -> bool:
    """jq's notion of truth: everything but false and null."""
    return value is not None and value is not False
