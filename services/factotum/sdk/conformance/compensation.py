"""What takes an effect back: that its arguments can be made of an output, and that the named tool takes them."""

from __future__ import annotations

import json
import re
from typing import Any

import jq
from pydantic import ValidationError

from factotum.sdk.conformance.trial import Trial, shown
from factotum.sdk.conformance.world import Arguments, Check, Fault
from factotum.sdk.errors import ToolError
from factotum.sdk.interpolation import pieces

# A path of names, or of names between quotation marks: what it leads to has to be there.
_PATH = re.compile(r"\s*((?:\.\w+|\.?\[\"[^\"]+\"\])+|\.)\s*")
_NAME = re.compile(r"\.(\w+)|\[\"([^\"]+)\"\]")


async def compensation(trial: Trial[Any]) -> Check:
    name, declared, undo = "compensation", trial.spec.compensation, trial.world.undo
    if declared is None:
        return Check(name, None, "it names none")
    given, context = await trial.arguments(), trial.context()
    output = json.loads(await trial.called(given, context))
    arguments = _made({**declared.arguments}, output)
    if undo is None:
        return Check(name, None, f"give World.undo to have {declared.call} tried")
    if undo.spec.name != declared.call:
        raise Fault(f"it names {declared.call}, and World.undo is {undo.spec.name}")
    await _taken_back(trial, given, arguments)
    return Check(name, True)


async def _taken_back(trial: Trial[Any], given: Arguments, arguments: Arguments) -> None:
    assert trial.world.undo is not None
    undo = Trial(trial.world.undo, trial.world)
    # A tool may take back what it did itself: by another key.
    undo.numbers = trial.numbers
    try:
        read = undo.read(arguments)
    except ValidationError as error:
        raise Fault(f"{undo.spec.name} does not take {shown(arguments)}: {error}") from error
    try:
        await undo.call(read, undo.context())
    except ToolError as error:
        raise Fault(f"{undo.spec.name} {shown(arguments)} raised {error.kind}: {error.message}") from error
    finally:
        trial.told += undo.told
    await trial.stands(given, 0, f"after {undo.spec.name}")


def _made(value: Any, output: Any) -> Any:
    """The value with its expressions evaluated as a step's are, in strict mode, over the output and nothing else.

    Raises `Fault`.
    """
    if isinstance(value, dict):
        return {name: _made(inner, output) for name, inner in value.items()}
    if isinstance(value, list):
        return [_made(inner, output) for inner in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    try:
        parts = pieces(value)
    except ValueError as error:
        raise Fault(f"{value!r} is no expression: {error}") from error
    if isinstance(parts, str):
        return _evaluated(parts, output, value)
    # A program without a result is null, also in a text.
    texts = (_evaluated(part, output, value) if program else part for program, part in parts)
    return "".join("null" if text is None else text for text in texts)


def _evaluated(program: str, output: Any, written: str) -> Any:
    """The first result of a program, null if it has none."""
    if (path := _PATH.fullmatch(program)) is not None:
        _lookup(path[1], output, written)
    try:
        return next(iter(jq.compile(program).input_value(output)), None)
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise Fault(f"{written!r} cannot be made of the output {shown(output)}: {reason}") from error


def _lookup(path: str, output: Any, written: str) -> None:
    found = output
    for plain, quoted in _NAME.findall(path):
        if not isinstance(found, dict) or (plain or quoted) not in found:
            raise Fault(f"{written!r} is not in the output: {shown(output)}")
        found = found[plain or quoted]
