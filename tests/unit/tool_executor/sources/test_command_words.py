"""A value is an argument, whatever it holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from factotum.sdk.errors import InvalidArgument
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sources.command.config import Declared, Word
from factotum.tool_executor.sources.command.words import command_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


def declared(**changes: Any) -> Declared:
    given = {"description": "x", "argv": ["true", {"slot": "a"}], "slots": {"a": {"type": "string"}}}
    return Declared.model_validate(given | changes)


@pytest.mark.parametrize("value", ["", "a b", "'; rm -rf /", "$(id)", "`id`", "*", "\n", "a=b", "é", "${A}"])
def test_a_text_is_one_argument_as_it_stands(value: str) -> None:
    assert command_line(["p", Word(slot="a"), "z"], {"a": value}) == ["p", value, "z"]


@pytest.mark.parametrize(
    ("word", "value", "words"),
    [
        (Word(slot="a"), 1.5, ["1.5"]),
        (Word(slot="a"), {"b": [1]}, ['{"b":[1]}']),
        (Word(slot="a"), ["x", 2, ""], ["x", "2", ""]),
        (Word(slot="a"), [], []),
        (Word(slot="a"), None, []),
        (Word(slot="a", option="-n"), ["x", "y"], ["-n", "x", "-n", "y"]),
        (Word(slot="a", option="--n="), ["x", "-y"], ["--n=x", "--n=-y"]),
        (Word(slot="a", option="-v"), True, ["-v"]),
        (Word(slot="a", option="-v"), False, []),
    ],
)
def test_what_a_value_becomes(word: Word, value: Any, words: list[str]) -> None:
    assert command_line(["p", word], {"a": value}) == ["p", *words]
    assert command_line(["p", word], {}) == ["p"]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        (Word(slot="a"), "-x"),
        (Word(slot="a"), -1),
        (Word(slot="a"), ["x", "--output=/etc"]),
        (Word(slot="a", option="-n"), "-x"),
        (Word(slot="a"), "x\0y"),
        (Word(slot="a", option="--n="), "x\0y"),
    ],
)
def test_what_could_be_taken_for_an_option_is_refused(word: Word, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^a (begins with a dash|holds a NUL)"):
        command_line(["p", word], {"a": value})


def test_after_two_dashes_a_value_may_begin_with_one() -> None:
    assert command_line(["p", "--", Word(slot="a")], {"a": ["-x", "--"]}) == ["p", "--", "-x", "--"]
    with pytest.raises(InvalidArgument):
        command_line(["p", Word(slot="a"), "--"], {"a": "-x"})
    with pytest.raises(InvalidArgument):  # what a value says is no word of the template
        command_line(["p", Word(slot="a"), Word(slot="a")], {"a": "--"})


@given(st.sampled_from(["", "-n", "--n="]), VALUES)
def test_no_value_is_more_than_its_words(option: str, value: Any) -> None:
    try:
        line = command_line(["p", "first", Word(slot="a", option=option), "last"], {"a": value})
    except InvalidArgument:
        return
    assert line[:2] == ["p", "first"] and line[-1] == "last"
    own = line[2:-1]
    assert not any(word.startswith("-") for word in own if word != option and not word.startswith("--n="))
    assert len(own) <= (len(value) if isinstance(value, list) else 1) * (2 if option == "-n" else 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": [{"slot": "a"}]}, "begins with the name"),
        ({"argv": ["-x", {"slot": "a"}]}, "begins with the name"),
        ({"argv": ["true", {"slot": "b"}]}, "no slot b"),
        ({"argv": ["true"]}, "goes nowhere"),
        ({"argv": ["true", {"slot": "a", "option": "-x", "shell": True}]}, "shell"),
        ({"optional": ["b"]}, "is no slot"),
        ({"slots": {"a": {"type": "boolean"}}}, "is a boolean"),
        ({"idempotency": "reconcile"}, "cannot be asked"),
        ({"output": {"type": "object"}}, "stdout: json"),
        ({"exit_codes": {1: "sad"}}, "neither ok nor a kind"),
        ({"environment": {"LD_PRELOAD": "x"}}, "LD_PRELOAD"),
        ({"environment": {"A": "secret://"}}, "no reference"),
        ({"environment": {"A": {"secret": "plain"}}}, "no reference"),
        ({"hosts": ["https://example.com"]}, "is not a host"),
        ({"hosts": ["*"]}, "is not a host"),
        ({"limits": {"seconds": 0}}, "limits.seconds"),
    ],
)
def test_declarations_that_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        declared(**changes)
    faults = refused.value.errors()
    assert any(words in f"{'.'.join(map(str, fault['loc']))} {fault['msg']}" for fault in faults), faults


@pytest.mark.parametrize(
    ("changes", "effect", "idempotency"),
    [
        ({}, Effect.EXECUTE, Idempotency.NONE),
        ({"effect": "none"}, Effect.NONE, Idempotency.NATIVE),
        ({"idempotency": "native"}, Effect.EXECUTE, Idempotency.NATIVE),
        ({"hosts": ["a.example"]}, Effect.EXECUTE, Idempotency.NONE),
        ({"hosts": ["a.example"], "effect": "none"}, Effect.NONE, Idempotency.NATIVE),
        ({"hosts": ["a.example"], "effect": "send", "idempotency": "native"}, Effect.SEND, Idempotency.NATIVE),
    ],
)
def test_what_is_known_of_its_effect(changes: dict[str, Any], effect: Effect, idempotency: Idempotency) -> None:
    made = declared(**changes)
    assert (made.effect, made.once) == (effect, idempotency)
