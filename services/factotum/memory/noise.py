"""Which texts tell nothing: no words, one word over and over, dumps of bytes. Pure."""

from __future__ import annotations

import re

# A text that repeats one word so often, or one letter within a word, says nothing.
_REPEATED_WORDS = 3
_REPEATED_LETTERS = 5
# Parts of a text, in characters that are not blank.
_MOSTLY, _NEARLY_ALL = 0.8, 0.9
_FEW_WORDS = 3
_DUMP_TOKENS = 16

_WORD = re.compile(r"[^\W\d_]{2,}")
_LETTERS = re.compile(r"[^\W_]")
# Encoded bytes: unbroken, long, of the alphabet of base64 or of hexadecimal digits.
_ENCODED = re.compile(r"(?:data:[^,\s]{0,100},)?(?P<bytes>[A-Za-z0-9+/_-]{40,}={0,2})")
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-fA-F]{32,}")
_GROUP = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}|[0-9a-fA-F]{4}|[0-9a-fA-F]{8}|[0-9a-fA-F]{16}):?")
_NAME_BORDERS = re.compile(r"[/_-]+")
# In base64 a slash comes every 32 characters, in a path sooner.
_LONGEST_NAME = 12


def spoken(text: str) -> int:
    """Letters and digits in it."""
    return len(_LETTERS.findall(text))


def is_noise(text: str) -> bool:
    """Whether it holds no word of two letters, or one word again and again, or next to nothing but a dump of bytes."""
    words = _WORD.findall(text)
    return not words or _repeats(text, words) or _dumps(text)


def _repeats(text: str, words: list[str]) -> bool:
    tokens = text.casefold().split()
    if len(tokens) >= _REPEATED_WORDS and len(set(tokens)) == 1:
        return True
    return all(len(word) >= _REPEATED_LETTERS and len(set(word.casefold())) == 1 for word in words)


def _dumps(text: str) -> bool:
    tokens = text.split()
    if len(tokens) >= _DUMP_TOKENS and _is_grouped_dump(tokens):
        return True
    others = [token for token in tokens if not _is_encoded(token)]
    share = 1 - sum(len(token) for token in others) / sum(len(token) for token in tokens)
    return share >= _NEARLY_ALL or (share >= _MOSTLY and len(_WORD.findall(" ".join(others))) < _FEW_WORDS)


def _is_encoded(token: str) -> bool:
    if _HEXADECIMAL.fullmatch(token):
        return True
    found = _ENCODED.fullmatch(token)
    if found is None:
        return False
    part = found["bytes"]
    mixed = any(c.isupper() for c in part) and any(c.islower() for c in part) and any(c.isdigit() for c in part)
    names = _NAME_BORDERS.split(part)
    return mixed and len(part) / len(names) >= _LONGEST_NAME


def _is_grouped_dump(tokens: list[str]) -> bool:
    """As `xxd` and debuggers show bytes: groups of hexadecimal digits, most of them with a decimal one."""
    groups = [token for token in tokens if _GROUP.fullmatch(token)]
    if len(groups) < _MOSTLY * len(tokens):
        return False
    # "be added" is made of hexadecimal digits, too. Only-decimal columns are a table.
    return any(c.isalpha() for group in groups for c in group) and sum(
        any(c.isdigit() for c in group) for group in groups
    ) >= 0.5 * len(groups)
