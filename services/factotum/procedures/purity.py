"""Which jq programs may run: those that read nothing but their input and that end.

An allow-list of built-ins, so that a new version of jq cannot add a way out. What is left out:
the clock and the environment (`now`, `localtime`, `env`, `$ENV`), other inputs and output streams
(`input`, `debug`, `stderr`, `halt`), modules, and everything that can loop or recurse without a
bound on the size of the data (`def`, `repeat`, `until`, `while`, `range`, `recurse/1`, `limit`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

ALLOWED = frozenset(
    """
    IN INDEX abs add all any arrays ascii_downcase ascii_upcase booleans bsearch capture ceil contains del delpaths
    empty endswith error explode fabs first flatten floor format from_entries fromdate fromdateiso8601 fromjson
    getpath gmtime group_by gsub has implode in index indices inside isempty isnan iterables join keys
    keys_unsorted last length ltrim ltrimstr map map_values match max max_by min min_by mktime not nth nulls
    numbers objects path paths pick pow reverse rindex round rtrim rtrimstr scalars scan select setpath sort sort_by
    split splits sqrt startswith strftime strings strptime sub test to_entries toboolean todate todateiso8601 tojson
    tonumber tostring transpose trim trimstr trunc type unique unique_by utf8bytelength values walk with_entries
    """.split()  # noqa: SIM905  (one name a line would hide the list's shape)
)
KEYWORDS = frozenset("if then elif else end and or as reduce foreach try catch true false null".split())  # noqa: SIM905
# `foreach` and `reduce` walk a stream that is itself bounded by the rules above.

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
  | (?P<string>")
  | (?P<format>@[a-z0-9]+)
  | (?P<field>\.\s*[A-Za-z_][A-Za-z0-9_]*)
  | (?P<variable>\$\s*(?:__loc__|[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z0-9_]+)*)
  | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE,
)
_OPENS = {")": "(", "]": "[", "}": "{"}


class ImpureExpression(ValueError):
    """The expression reads what it may not, or cannot be shown to end."""


def tokens(program: str) -> Iterator[tuple[str, str]]:
    """The tokens of a jq program outside string literals, those inside `\\( )` included.

    Raises `ImpureExpression` for an unterminated string.
    """
    position = 0
    interpolations: list[int] = []  # of each open `\\(`: how many plain parentheses are open in it
    while position < len(program):
        found = _TOKEN.match(program, position)
        if found is None:  # only a character that `.` does not match
            raise ImpureExpression("an expression must not hold this character")
        position, kind, text = found.end(), found.lastgroup or "", found.group()
        closes_interpolation = text == ")" and bool(interpolations) and interpolations[-1] == 0
        if kind == "string" or closes_interpolation:
            if closes_interpolation:
                interpolations.pop()
                yield "other", ")"
            position, opened = _skip_string(program, position)
            if opened:
                interpolations.append(0)
                yield "other", "("
            continue
        if interpolations and text in ("(", ")"):
            interpolations[-1] += 1 if text == "(" else -1
        if kind not in ("comment", "space"):
            yield kind, text


def _skip_string(program: str, position: int) -> tuple[int, bool]:
    """Past the closing quote, or past a `\\(`: (position, whether an interpolation opened)."""
    while position < len(program):
        if program[position] == "\\":
            if program[position + 1 : position + 2] == "(":
                return position + 2, True
            position += 2
        elif program[position] == '"':
            return position + 1, False
        else:
            position += 1
    raise ImpureExpression("a string is not closed")


def check(program: str) -> None:
    """Raises `ImpureExpression` naming the first word that is not allowed."""
    brackets: list[str] = []
    previous = ""
    for kind, text in tokens(program):
        # Directly inside `{ }` a word after `{` or `,` is a key: values there hold no bare commas.
        is_key = bool(brackets) and brackets[-1] == "{" and previous in ("{", ",")
        if kind == "name" and text not in ALLOWED and text not in KEYWORDS and not is_key:
            raise ImpureExpression(
                f"`{text}` is not allowed in an expression: it reads something other than its input, or may never end"
            )
        if kind == "variable" and re.sub(r"\s", "", text) in ("$ENV", "$__loc__", "$__prog_args"):
            raise ImpureExpression(f"`{text}` is not allowed in an expression")
        if kind == "other" and text in "([{":
            brackets.append(text)
        elif kind == "other" and text in ")]}" and (not brackets or brackets.pop() != _OPENS[text]):
            raise ImpureExpression(f"`{text}` closes nothing")
        previous = text
    if brackets:
        raise ImpureExpression(f"`{brackets[-1]}` is not closed")


def variables(program: str) -> frozenset[str]:
    """The names of the `$variables` that a program mentions, bound within it or not."""
    return frozenset(text[1:].strip() for kind, text in tokens(program) if kind == "variable")
