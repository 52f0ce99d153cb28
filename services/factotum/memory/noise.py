"""Which texts tell nothing: no words, one word or phrase over and over, dumps of bytes, keys and tokens. Pure."""

from __future__ import annotations

import re
import string

# A text that repeats one word so often, one phrase, or one letter within a word, says nothing.
_REPEATED_WORDS, _REPEATED_PHRASES, _REPEATED_LETTERS = 3, 4, 5
# Parts of a text, in characters that are not blank.
_MOSTLY, _NEARLY_ALL = 0.8, 0.9
# Different words beside a dump that say something of their own, where it is most of a text, and nearly all.
_FEW_WORDS, _SENTENCE = 3, 8
_DUMP_TOKENS = 16

_WORD = re.compile(r"[^\W\d_]{2,}")
_LETTERS = re.compile(r"[^\W_]")
_AROUND = string.punctuation + "…–—“”„«»‘’。、，！？；：「」"  # noqa: RUF001
# Encoded bytes: unbroken, long, of the alphabet of base64 or of hexadecimal digits.
_ENCODED = re.compile(r"(?:data:[^,\s]{0,100},)?(?P<bytes>[A-Za-z0-9+/_-]{40,}={0,2})")
_HEXADECIMAL = re.compile(r"(?:0x)?[0-9a-fA-F]{32,}")
_GROUP = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{2}|[0-9a-fA-F]{4}|[0-9a-fA-F]{8}|[0-9a-fA-F]{16}):?")
_NAME_BORDERS = re.compile(r"[/_-]+")
# In base64 a slash comes every 32 characters, in a path sooner.
_LONGEST_NAME = 12
# `API_KEY="…"`: what counts is the value.
_NAMED = re.compile(r"""\A(?!data:)[\w.-]{1,64}[=:]["']?(?=.{20})""")
# JSON Web Tokens (RFC 7519) begin with `{"`; the ids of AWS' keys have few digits.
_KEY = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}|A[KS]IA[A-Z0-9]{16}")
_CODE = re.compile(r"[A-Za-z0-9._+=~-]{20,}")
_PIECE = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
# Characters of a piece: in what chance made letters and digits change after two, in names after five.
_SHORT_PIECES = 2.6
_LONG_PIECE = 8
_LEAST_LETTERS = 0.2


def spoken(text: str) -> int:
    """Letters and digits in it."""
    return len(_LETTERS.findall(text))


def is_noise(text: str) -> bool:
    """Whether it holds no word of two letters, or one word or phrase again and again, or next to nothing but a dump of
    bytes or what only chance could have spelt, as keys and tokens are."""
    words = _WORD.findall(text)
    return not words or _repeats(text, words) or _dumps(text)


def _repeats(text: str, words: list[str]) -> bool:
    tokens = [token for raw in text.casefold().split() if (token := raw.strip(_AROUND))]
    if len(tokens) == 1:
        # Where no blanks stand between words.
        unit = _period(tokens[0])
        if unit > 1 and len(tokens[0]) // unit >= _REPEATED_PHRASES:
            return True
    elif tokens:
        said = " ".join(tokens) + " "
        unit = _period(said)
        is_word = said.index(" ") == unit - 1
        if len(said) // unit >= (_REPEATED_WORDS if is_word else _REPEATED_PHRASES):
            return True
    return all(len(word) >= _REPEATED_LETTERS and len(set(word.casefold())) == 1 for word in words)


def _period(text: str) -> int:
    """Characters of what the text is a repetition of: all of them where it is none."""
    return (text + text).index(text, 1)


def _dumps(text: str) -> bool:
    tokens = text.split()
    if len(tokens) >= _DUMP_TOKENS and _is_grouped_dump(tokens):
        return True
    others = [token for token in tokens if not _is_encoded(token)]
    share = 1 - sum(len(token) for token in others) / sum(len(token) for token in tokens)
    words = {word.casefold() for word in _WORD.findall(" ".join(others))}
    return (share >= _NEARLY_ALL and len(words) < _SENTENCE) or (share >= _MOSTLY and len(words) < _FEW_WORDS)


def _is_encoded(raw: str) -> bool:
    token = _NAMED.sub("", raw.strip("\"'`,;()[]{}<>"))
    if _HEXADECIMAL.fullmatch(token.replace("-", "")) or _KEY.fullmatch(token) or _is_by_chance(token):
        return True
    found = _ENCODED.fullmatch(token)
    if found is None:
        return False
    part = found["bytes"]
    mixed = any(c.isupper() for c in part) and any(c.islower() for c in part) and any(c.isdigit() for c in part)
    names = _NAME_BORDERS.split(part)
    return mixed and len(part) / len(names) >= _LONGEST_NAME


def _is_by_chance(token: str) -> bool:
    """Whether letters and digits change too often for a name, a version or a time."""
    if not _CODE.fullmatch(token) or not any(c.isdigit() for c in token):
        return False
    pieces = _PIECE.findall(token)
    size = sum(map(len, pieces))
    letters = sum(c.isalpha() for c in token)
    return (
        size / len(pieces) < _SHORT_PIECES
        and letters >= _LEAST_LETTERS * size
        and max(map(len, pieces)) < _LONG_PIECE
        # RFC 3492: names of hosts in other alphabets.
        and "xn--" not in token
    )


def _is_grouped_dump(tokens: list[str]) -> bool:
    """As `xxd` and debuggers show bytes: groups of hexadecimal digits, most of them with a decimal one."""
    groups = [token for token in tokens if _GROUP.fullmatch(token)]
    if len(groups) < _MOSTLY * len(tokens):
        return False
    # "be added" is made of hexadecimal digits, too. Only-decimal columns are a table.
    return any(c.isalpha() for group in groups for c in group) and sum(
        any(c.isdigit() for c in group) for group in groups
    ) >= 0.5 * len(groups)
