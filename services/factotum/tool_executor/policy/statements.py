"""The policies of a text in Cedar, one by one, with the lines on which they begin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# A comment, a string, or the end of a policy; Cedar has no other place where a semicolon may stand.
_TOKEN = re.compile(r'//[^\n]*|"(?:\\.|[^"\\])*"|;', re.DOTALL)
_NOTHING = re.compile(r"(?:\s|//[^\n]*)*\Z")
_LEADING = re.compile(r"(?:\s|//[^\n]*)*")


@dataclass(frozen=True, slots=True)
class Statement:
    """The text of one policy; what stands after the last semicolon, if that is more than comments, is one too."""

    text: str
    line: int

    def line_of(self, word: str) -> int:
        """The line in the file on which a word of the policy stands first; of the policy where it has none such."""
        at = self.text.find(word) if word else -1
        return self.line + (self.text.count("\n", 0, at) if at > 0 else 0)


def statements(text: str) -> Iterator[Statement]:
    start = 0
    for token in _TOKEN.finditer(text):
        if token.group() == ";":
            yield _statement(text, start, token.end())
            start = token.end()
    if not _NOTHING.match(text, start):
        yield _statement(text, start, len(text))


def _statement(text: str, start: int, end: int) -> Statement:
    leading = _LEADING.match(text, start, end)
    begin = leading.end() if leading is not None else start
    return Statement(text[begin:end], text.count("\n", 0, begin) + 1)
