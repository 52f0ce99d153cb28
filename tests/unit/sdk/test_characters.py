"""What no text of strangers needs."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.sdk.characters import line, plain, steers


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\0b\x07\x08c\x7f", "abc"),
        ("\x1b[31;1mred\x1b[0m alert", "red alert"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;https://x.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1b(B\x1b7\x1bcreset", "reset"),
        ("one\r\ntwo\rthree\x0cfour\x85five\u2028six", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("pay \u202e001\u202c euros", "pay 001 euros"),
        ("a\u2066b\u2069", "ab"),
        ("\ufefftext", "text"),
        ("hello\U000e0068\U000e0069", "hello"),
    ],
)
def test_what_steers_is_left_out(text: str, left: str) -> None:
    assert plain(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "a\tb\nc",
        "[31m is no sequence without its escape",
        "नमस्ते क्‍ष",
        "שלום\u200f, world",
        "👩\u200d💻 and ❤️",
        "می\u200cروم",
        "ไทย\u200bไทย",
        "soft\u00adhyphen",
    ],
)
def test_what_languages_need_stays(text: str) -> None:
    assert plain(text) == text and not steers(text)


@given(st.text())
def test_what_is_plain_stays_and_nothing_else_is_lost(text: str) -> None:
    once = plain(text)
    assert plain(once) == once and not steers(once)
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in once if c not in "\n\t")
    if "\x1b" not in text and "\x9b" not in text:
        assert [c for c in text if c.isalnum()] == [c for c in once if c.isalnum()]


def test_one_line() -> None:
    assert line("a\r\nb\tc\x1b[1m") == "a b c"
