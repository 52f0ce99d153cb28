"""From a template and values to a command line. A value is an argument, and never a part of a text that anything reads
as more than that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.sources.command.config import Word


def command_line(template: Sequence[str | Word], values: Mapping[str, Any]) -> list[str]:
    """Raises `InvalidArgument` for a value that the program could take for an option, or that no argument can be."""
    line: list[str] = []
    dashes = False
    for word in template:
        if isinstance(word, str):
            line.append(word)
            dashes = dashes or word == "--"
        elif (value := values.get(word.slot)) is not None:
            line += _words(word, value, dashes=dashes)
    return line


def text(value: Any) -> str:
    """A text as it is, anything else as its JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _words(word: Word, value: Any, *, dashes: bool) -> Iterator[str]:
    if isinstance(value, bool) and word.option:
        yield from [word.option] if value else []
        return
    for one in value if isinstance(value, list) else [value]:
        argument = text(one)
        if "\0" in argument:
            raise InvalidArgument(f"{word.slot} holds a NUL character, which no argument can")
        if word.option.endswith("="):
            yield word.option + argument
            continue
        if argument.startswith("-") and not dashes:
            raise InvalidArgument(f"{word.slot} begins with a dash: the program would take it for an option")
        if word.option:
            yield word.option
        yield argument
