"""Distinguished names (RFC 4514). Pure.

Only the plain form is read: no quotes, no `;`, no values in hexadecimal BER. What is read is written anew, so that the
server reads what was compared here. Two names that a server would take for one may be two here, and never the reverse:
of letters only ASCII's are folded, and only in attributes that every server compares without case; whatever else a
server folds (RFC 4518), such as ß, the width of a character or blanks, it may not fold for this base.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from factotum.sdk.errors import InvalidArgument, NotPermitted

ATTRIBUTE = r"[A-Za-z][A-Za-z0-9-]{0,126}"

_PAIR = re.compile(rf" *({ATTRIBUTE}) *= *")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_SPECIAL = '"+,;<>\\='
# Compared without case by every server (RFC 4519, RFC 4524).
_WITHOUT_CASE = frozenset({"c", "cn", "dc", "l", "mail", "o", "ou", "st", "uid"})
_ASCII = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Name:
    """A DN: relative names from the entry up, each of attributes and values."""

    parts: tuple[tuple[tuple[str, str], ...], ...]

    def __str__(self) -> str:
        return ",".join(relative_text(part) for part in self.parts)

    @property
    def parent(self) -> Name:
        return Name(self.parts[1:])

    def under(self, base: Name) -> bool:
        """Whether it is `base` or beneath it."""
        return len(base.parts) == 0 or _folded(self.parts[-len(base.parts) :]) == _folded(base.parts)

    def same(self, other: Name) -> bool:
        return _folded(self.parts) == _folded(other.parts)

    def child(self, relative: dict[str, str]) -> Name:
        return Name((tuple(sorted(relative.items())), *self.parts))


def relative_text(part: tuple[tuple[str, str], ...]) -> str:
    return "+".join(f"{attribute}={escaped(value)}" for attribute, value in part)


def escaped(value: str) -> str:
    """A value as it stands in a DN (RFC 4514 §2.4)."""
    written = []
    for at, char in enumerate(value):
        edge = (char in " #" and at == 0) or (char == " " and at == len(value) - 1)
        if ord(char) < 32 or char == "\x7f":
            written.append(f"\\{ord(char):02x}")
        else:
            written.append(f"\\{char}" if edge or char in _SPECIAL else char)
    return "".join(written)


def parsed(text: str) -> Name:
    """Raises `InvalidArgument`. An empty text is the root of all."""
    parts: list[tuple[tuple[str, str], ...]] = []
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            raise InvalidArgument(f"{text!r} is no distinguished name, such as uid=ada,ou=people,dc=example")
        value, at, end = _value(text, pair.end())
        pairs.append((pair.group(1), value))
        if end != "+":
            parts.append(tuple(sorted(pairs)))
            pairs = []
        if end and at == len(text):
            raise InvalidArgument(f"{text!r} is no distinguished name: it ends with {end}")
    return Name(tuple(parts))


def beneath(text: str, base: Name) -> Name:
    """The name, which must be `base` or beneath it. Raises `InvalidArgument`, `NotPermitted`."""
    name = parsed(text)
    if not name.under(base):
        raise NotPermitted(f"{name} is not beneath {base}, to which this tenant is held")
    return name


def _value(text: str, at: int) -> tuple[str, int, str]:
    """The value that begins at `at`, where what follows it begins, and the character that ended it, if any."""
    data = bytearray()
    # Blanks at the end are not part of the value, unless they are escaped.
    kept = 0
    if text.startswith("#", at):
        raise InvalidArgument("values of a distinguished name are text, not hexadecimal BER")
    while at < len(text):
        char = text[at]
        if char == "\\":
            if found := _HEX.match(text, at + 1):
                data.append(int(found.group(), 16))
                at += 3
            elif at + 1 < len(text) and text[at + 1] in _SPECIAL + " #":
                data += text[at + 1].encode()
                at += 2
            else:
                raise InvalidArgument(f"{text!r} has a \\ that escapes nothing")
            kept = len(data)
            continue
        if char in ",+":
            break
        if char in '";<>' or ord(char) < 32:
            raise InvalidArgument(f"{text!r} has a {char!r} that is not escaped")
        data += char.encode("utf-8", "replace")
        at += 1
        if char != " ":
            kept = len(data)
    try:
        value = data[:kept].decode()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{text!r} is not in UTF-8") from error
    if not value:
        raise InvalidArgument(f"{text!r} has an attribute without a value")
    return (value, at + 1, text[at]) if at < len(text) else (value, at, "")


def _folded(parts: tuple[tuple[tuple[str, str], ...], ...]) -> list[list[tuple[str, str]]]:
    return [sorted(_pair(attribute.translate(_ASCII), value) for attribute, value in part) for part in parts]


def _pair(attribute: str, value: str) -> tuple[str, str]:
    return attribute, value.translate(_ASCII) if attribute in _WITHOUT_CASE else value
