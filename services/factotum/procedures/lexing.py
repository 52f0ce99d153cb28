"""The tokens of a jq program. Source: jq 1.8.2, `lexer.l`, rule by rule: what jq takes for code, this must too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
    (?P<comment>\#(?:\\(?:\\|\r?\n)|[^\n])*)
  | (?P<string>")
  | (?P<format>@[a-zA-Z0-9_]+)
  | (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<field>\.[a-zA-Z_][a-zA-Z_0-9]*)
  | (?P<variable>\$(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*)
  | (?P<name>(?:[a-zA-Z_][a-zA-Z_0-9]*::)*[a-zA-Z_][a-zA-Z_0-9]*)
  | (?P<space>[ \r\n\t]+)
  | (?P<other>\?//|//=|!=|==|//|\|=|\+=|-=|\*=|/=|%=|<=|>=|\.\.|[.?=;,:|+\-*/%<>()\[\]{}])
    """,
    re.VERBOSE,
)
# `\` and any one character, but `\(` begins an interpolation.
_STRING = re.compile(r'(?:[^\\"]|\\[^(])*', re.DOTALL)


class SyntaxFault(ValueError):
    """The program is no jq, or more of jq than an expression may use."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token and where it stands: `program[start:end]`.

    `kind` is one of format, number, field, variable, name, other, quote (begins a string), text (inside
    one), insert (`\\(`), resume (the `)` of it) and unquote (ends a string).
    """

    kind: str
    text: str
    start: int
    end: int


def tokens(program: str) -> Iterator[Token]:
    """The tokens without space and comments. Raises `SyntaxFault`."""
    position = 0
    open_brackets: list[str] = []  # `\\(` for the parenthesis of an interpolation
    while position < len(program):
        found = _TOKEN.match(program, position)
        if found is None:
            raise SyntaxFault(f"`{program[position]}` is not understood here")
        start, position, kind, text = position, found.end(), found.lastgroup or "", found.group()
        if kind == "comment" and position == len(program) and text.endswith("\\"):
            raise SyntaxFault("a comment must not end with `\\`: it would go on in what follows")
        if kind in ("comment", "space"):
            continue
        resumes = text == ")" and bool(open_brackets) and open_brackets[-1] == "\\("
        if kind == "string" or resumes:
            if resumes:
                open_brackets.pop()
            yield Token("resume" if resumes else "quote", text, start, position)
            inside = _STRING.match(program, position)
            end = inside.end() if inside else position
            if end > position:
                yield Token("text", program[position:end], position, end)
            if program.startswith("\\(", end):
                open_brackets.append("\\(")
                yield Token("insert", "\\(", end, end + 2)
                position = end + 2
            elif program.startswith('"', end):
                yield Token("unquote", '"', end, end + 1)
                position = end + 1
            else:
                raise SyntaxFault("a string is not closed")
            continue
        if kind == "other" and text in "([{":
            open_brackets.append(text)
        elif kind == "other" and text in ")]}" and (not open_brackets or open_brackets.pop() != _OPENS[text]):
            raise SyntaxFault(f"`{text}` closes nothing")
        yield Token(kind, text, start, position)
    if open_brackets:
        raise SyntaxFault(f"`{open_brackets[-1]}` is not closed")


_OPENS = {")": "(", "]": "[", "}": "{"}
