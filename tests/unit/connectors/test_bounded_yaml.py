"""YAML of strangers is bounded, and is what JSON can write."""

from __future__ import annotations

import json

import pytest

from factotum.connectors.protocols.bounded_yaml import loaded


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (bomb(9), "values or"),
        ("&a [*a]", "values or"),
        ("!!pairs [a: &b [1, 2], b: &c [*b, *b]]\n" + "x: [", "no YAML"),
        (f"a: &a {'x' * 1_000_000}\nb: [{', '.join(['*a'] * 100)}]", "characters"),
        ("? [a]\n: b", "no YAML"),
        ("!!timestamp 2026-01-01: b", "no text"),
        ("!!binary aGk=: b", "no text"),
        ("a: [", "no YAML"),
        ("[" * 100_000, "no YAML"),
    ],
)
def test_what_is_not_read(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        loaded(text, most_values=100_000)


def test_dates_are_texts() -> None:
    found = loaded("2026-01-01: {at: 2026-01-01T00:00:00Z, 1: true}")
    assert found == {"2026-01-01": {"at": "2026-01-01T00:00:00Z", 1: True}}
    json.dumps(found)
