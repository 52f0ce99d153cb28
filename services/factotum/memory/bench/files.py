"""A corpus and questions to it, from two JSON Lines files."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from factotum.memory.errors import InvalidRequest
from factotum.memory.records import MAX_TEXT_BYTES, checked_text
from factotum.sdk.characters import plain, steers


class Malformed(Exception):
    """A file cannot be used; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Passage:
    """One text of the corpus. `position`: its place in its sequence; the order of lines where the file gives none."""

    id: str
    text: str
    sequence: str = ""
    position: int = 0
    time: datetime | None = None
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """`line`: of its file."""

    text: str
    relevant: frozenset[str]
    line: int = 0


def corpus(path: Path) -> list[Passage]:
    """At least one passage, each id once. Raises `Malformed`."""
    passages: list[Passage] = []
    lines: dict[str, int] = {}
    lengths: Counter[str] = Counter()
    for number, line in _objects(path):
        where = f"{path}:{number}"
        identity = _word(line, "id", where)
        if identity in lines:
            raise Malformed(f"{where}: the id {identity!r} stands in line {lines[identity]} already")
        lines[identity] = number
        sequence = _word(line, "sequence", where, default="")
        passages.append(
            Passage(
                identity,
                _text(line, where),
                sequence,
                _position(line, where, default=lengths[sequence]),
                _time(line, where),
                _word(line, "speaker", where, default=""),
            )
        )
        lengths[sequence] += 1
    if not passages:
        raise Malformed(f"{path}: holds nothing")
    return passages


def questions(path: Path) -> list[Question]:
    """At least one. Raises `Malformed`."""
    found = []
    for number, line in _objects(path):
        where = f"{path}:{number}"
        relevant = line.get("relevant")
        if not isinstance(relevant, list) or not all(_is_word(each) for each in relevant):
            raise Malformed(f"{where}: relevant: must be a list of ids")
        if not relevant:
            raise Malformed(f"{where}: relevant: holds no id: nothing can be found")
        text = _text(line, where)
        try:
            checked_text(text, "text")
        except InvalidRequest as error:
            raise Malformed(f"{where}: {error}") from error
        found.append(Question(text, frozenset(map(str, relevant)), number))
    if not found:
        raise Malformed(f"{path}: holds nothing")
    return found


def missing(passages: Sequence[Passage], asked: Sequence[Question]) -> dict[str, int]:
    """Relevant ids that no passage has, so that nothing finds them, each with the line that names it first."""
    present = {passage.id for passage in passages}
    lost: dict[str, int] = {}
    for question in asked:
        for identity in sorted(question.relevant - present):
            lost.setdefault(identity, question.line)
    return lost


def cut(passages: Sequence[Passage]) -> list[str]:
    """Ids of the passages of which only the beginning is kept."""
    return [passage.id for passage in passages if len(passage.text.encode()) > MAX_TEXT_BYTES]


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                # A byte order mark is none of the text.
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, _object(text, f"{path}:{number}")
    except OSError as error:
        raise Malformed(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise Malformed(f"{path}:{number}: not UTF-8: {error.reason} in byte {error.start + 1}") from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"{where}: not JSON: {error.msg} in column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{where}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"{where}: must be a JSON object")
    return value


def _text(line: dict[str, Any], where: str) -> str:
    value = line.get("text")
    if not isinstance(value, str):
        raise Malformed(f"{where}: text: {'is missing' if value is None else 'must be a string'}")
    # JSON can name halves of characters, UTF-8 cannot.
    return plain(value)


def _is_word(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _word(line: dict[str, Any], name: str, where: str, default: str | None = None) -> str:
    value = line.get(name)
    if value is None or value == "":
        if default is not None:
            return default
        raise Malformed(f"{where}: {name}: is missing")
    if not _is_word(value):
        raise Malformed(f"{where}: {name}: must be a string or an integer")
    if steers(str(value)):
        raise Malformed(f"{where}: {name}: must not hold control characters")
    return str(value)


def _position(line: dict[str, Any], where: str, default: int) -> int:
    value = line.get("position")
    if value is None:
        return default
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**62:
        raise Malformed(f"{where}: position: must be an integer")
    return value


def _time(line: dict[str, Any], where: str) -> datetime | None:
    """RFC 3339 or seconds since 1970."""
    value = line.get("time")
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise Malformed(f"{where}: time: must be an RFC 3339 time or seconds since 1970")
