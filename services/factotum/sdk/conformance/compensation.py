"""What takes an effect back: that its arguments can be made of an output, and that the named tool takes them."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from factotum.sdk.conformance.trial import Trial, shown
from factotum.sdk.conformance.world import Arguments, Check, Fault
from factotum.sdk.errors import ToolError

_EXPRESSION = re.compile(r"\$\{(.*)\}", re.DOTALL)
# A path of names, or of names between quotation marks; what else there is of jq is not evaluated here.
_PATH = re.compile(r"\s*((?:\.\w+|\.?\[\"[^\"]+\"\])+|\.)\s*")
_NAME = re.compile(r"\.(\w+)|\[\"([^\"]+)\"\]")


async def compensation(trial: Trial[Any]) -> Check:
    name, declared, undo = "compensation", trial.spec.compensation, trial.world.undo
    if declared is None:
        return Check(name, None, "it names none")
    given, context = await trial.arguments(), trial.context()
    output = json.loads(await trial.called(given, context))
    arguments, known = _made({**declared.arguments}, output)
    if undo is None:
        return Check(name, None, f"give World.undo to have {declared.call} tried")
    if undo.spec.name != declared.call:
        raise Fault(f"it names {declared.call}, and World.undo is {undo.spec.name}")
    if not known:
        return Check(name, None, "its arguments are more than paths into the output")
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


def _made(value: Any, output: Any) -> tuple[Any, bool]:
    """The value with its expressions evaluated, and whether all of them could be. Raises `Fault`."""
    if isinstance(value, dict):
        made = {name: _made(inner, output) for name, inner in value.items()}
        return {name: inner for name, (inner, _) in made.items()}, all(known for _, known in made.values())
    if isinstance(value, list):
        items = [_made(inner, output) for inner in value]
        return [inner for inner, _ in items], all(known for _, known in items)
    if not isinstance(value, str) or not value.startswith("${"):
        return value, True
    if (expression := _EXPRESSION.fullmatch(value)) is None:
        raise Fault(f"{value!r} is no expression: it has no end")
    if (path := _PATH.fullmatch(expression[1])) is None:
        return value, False
    found = output
    for plain, quoted in _NAME.findall(path[1]):
        if not isinstance(found, dict) or (plain or quoted) not in found:
            raise Fault(f"{value!r} is not in the output: {shown(output)}")
        found = found[plain or quoted]
    return found, True
