"""Characters that steer a terminal or hide from a reader what stands there: no text of strangers needs them. Pure."""

from __future__ import annotations

import re
from typing import Final

# ECMA-48: colours, moves of the cursor, titles of windows, links. Without the escape the rest would stand as text.
_SEQUENCE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x9b[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
)
_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Unicode's controls but newline and tab, halves of surrogate pairs, what overrides the direction of letters (UAX #9:
# letters have one by themselves), byte order marks, notes between lines, and tags, which spell what nobody sees.
_STEERING: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def steers(text: str) -> bool:
    """Whether there is such a character in it; newlines and tabs are none."""
    return _STEERING.search(text) is not None


def plain(text: str) -> str:
    """The text without them, and without the whole of terminals' sequences; lines end with a newline alone.

    Plain text is given back as it is.
    """
    if steers(text):
        text = _SEQUENCE.sub("", text)
    text = _LINE_ENDS.sub("\n", text)
    return _STEERING.sub("", text) if steers(text) else text


def line(text: str) -> str:
    """The plain text as one line."""
    return plain(text).replace("\n", " ").replace("\t", " ")
