"""From YAML or JSON text to JSON values, and where each of them stood."""

from __future__ import annotations

import math
from typing import Any

import yaml

from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault, FaultyDocument

MAX_DEPTH = 64
# What an alias stands for is counted each time: a few lines of aliases could otherwise fill any memory.
MAX_VALUES = 100_000
# Of all pointers, keys and texts together; a long key counts once more in each pointer below it.
MAX_CHARACTERS = 16 * 1024 * 1024

Place = tuple[int, int]


def read(text: str) -> tuple[Any, dict[str, Place]]:
    """The value of a text, null of an empty one, and (line, column), 1-based, of every JSON pointer in it.

    Raises `FaultyDocument`.
    """
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
        reading = _Reading()
        value = reading.value(node, "", 0) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        advice = "Check the indentation, and put quotes around what holds `: `, `#`, `{` or `[`"
        raise FaultyDocument([Fault("", f"not YAML: {error.problem}", advice, line, column)]) from error
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, FaultyDocument):
            raise
        raise FaultyDocument([Fault("", f"not YAML: {error}")]) from error
    return value, reading.places


class _Reading:
    """The reading of one text: aliases are written out, within the bounds of this module."""

    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self._values = 0
        self._characters = 0

    def value(self, node: yaml.Node, pointer: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _refused(node, f"nested deeper than {MAX_DEPTH}", "Make functions of what lies deepest")
        self._count(pointer)
        self.places[pointer] = _place(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, pointer, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(node.value)]
        found = _scalar(node)
        if isinstance(found, str):
            self._characters += len(found)
        return found

    def _mapping(self, node: yaml.MappingNode, pointer: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _refused(key_node, "merge keys are not read", "Write out what `<<` stands for")
            key = str(key_node.value)
            if key in found:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
            below = f"{pointer}/{escape(key)}"
            found[key] = self.value(value_node, below, depth + 1)
            self.places[below] = _place(key_node)
        return found

    def _count(self, pointer: str) -> None:
        self._values += 1
        self._characters += len(pointer)
        if self._values > MAX_VALUES or self._characters > MAX_CHARACTERS:
            advice = "Write fewer aliases, and let a run read large data instead of holding it"
            raise FaultyDocument([Fault("", "the document is too large with its aliases written out", advice)])


def _scalar(node: yaml.Node) -> Any:
    # JSON has no dates: what YAML would make one stays the text that it is.
    if node.tag == "tag:yaml.org,2002:timestamp":
        return node.value
    value = yaml.CSafeLoader.construct_object(_constructor, node)
    if value is not None and not isinstance(value, str | bool | int | float):
        raise yaml.MarkedYAMLError(problem=f"JSON has no {node.tag.rpartition(':')[2]}", problem_mark=node.start_mark)
    if isinstance(value, float) and not math.isfinite(value):
        raise yaml.MarkedYAMLError(problem="JSON has no infinity and no NaN", problem_mark=node.start_mark)
    return value


_constructor = yaml.CSafeLoader("")


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _refused(node: yaml.Node, message: str, advice: str) -> FaultyDocument:
    line, column = _place(node)
    return FaultyDocument([Fault("", message, advice, line, column)])
