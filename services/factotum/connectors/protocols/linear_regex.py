"""Regular expressions of strangers: matched without backtracking, in a time that can be told beforehand. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

_LONGEST = 5000
# A place in the text times a state of the automaton takes 0.2 µs at the worst, which these make a fifth of a second of.
MOST_STATES = 20_000
_COUNTED = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class RegexInvalid(ValueError):
    """A pattern that cannot be matched here; the message says why."""


class Regex:
    """A pattern, searched for anywhere in a text. `states` is about how large its automaton is: a match takes no
    longer than that times the text."""

    def __init__(self, pattern: str) -> None:
        """Raises `RegexInvalid`."""
        self.states = _states(pattern)
        if len(pattern) > _LONGEST or self.states > MOST_STATES:
            raise RegexInvalid(f"the pattern {pattern[:80]!r} is too large")
        try:
            # Who else reads the schema, a plan's check say, has Python's expressions.
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise RegexInvalid(f"the pattern {pattern[:80]!r} is no regular expression: {error}") from error
        try:
            self._matched = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        except SchemaError as error:
            why = str(error).strip().splitlines()[-1].strip()
            raise RegexInvalid(
                f"the pattern {pattern[:80]!r} cannot be matched without backtracking, which look-around and "
                f"back-references need: {why[:120]}"
            ) from error

    def found(self, text: str) -> bool:
        try:
            self._matched.validate_python(text)
        except ValidationError:
            return False
        return True


@lru_cache(maxsize=10_000)
def regex(pattern: str) -> Regex:
    """Raises `RegexInvalid`."""
    return Regex(pattern)


def is_usable(pattern: str) -> bool:
    try:
        regex(pattern)
    except RegexInvalid:
        return False
    return True


def _states(pattern: str) -> int:
    """How many characters and classes there are, counted repetitions written out."""
    groups, last, place = [0], 0, 0
    while place < len(pattern):
        character = pattern[place]
        width, size = 1, 1
        if character == "\\":
            width = 2
        elif character == "(":
            groups.append(0)
            last, place = 0, place + 1
            continue
        elif character == ")" and len(groups) > 1:
            size = groups.pop()
        elif found := _CLASS.match(pattern, place):
            width = found.end() - place
        elif found := _COUNTED.match(pattern, place):
            times = max(int(found[1]), int(found[2] or 0), 1)
            width, size = found.end() - place, last * (times - 1)
            last = last * times
            groups[-1] += size
            place += width
            continue
        last = size
        groups[-1] += size
        place += width
    return max(sum(groups), 1)
