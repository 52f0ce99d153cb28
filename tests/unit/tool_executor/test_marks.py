"""Marks become values for the tool alone."""

from __future__ import annotations

from typing import Any

import pytest

from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.calls import SecretMarks
from factotum.tool_executor.marks import revealed

NONCE = "8f1c0a"
MARKS = SecretMarks(NONCE, frozenset({"token", "login"}))
SECRETS = {"token": "t0k⟦8f1c0a:login⟧", "login": '{"user": "ada", "pin": 12345, "deep": {"a": "x"}}', "other": "no!"}


def put(value: Any) -> Any:
    return revealed(value, MARKS, SECRETS.__getitem__)


def mark(path: str, nonce: str = NONCE) -> str:
    return f"⟦{nonce}:{path}⟧"


def test_marks_in_texts_become_values_wherever_they_stand() -> None:
    value = {"a": [f"Bearer {mark('token')}!", mark("login/user") + mark("login/pin")], "n": 3}
    # A mark inside of a value is no mark.
    assert put(value) == {"a": [f"Bearer {SECRETS['token']}!", "ada12345"], "n": 3}
    assert put(mark("login/deep")) == '{"a": "x"}'
    assert put(mark("login")) == SECRETS["login"]


@pytest.mark.parametrize(
    "text",
    [
        mark("token", nonce="00"),  # made up by whoever wrote the text
        mark("token", nonce=""),
        mark("other"),  # there, and not declared
        "⟦8f1c0a⟧",
        f"⟦{NONCE}:⟧",
        f"{NONCE}:token",
    ],
)
def test_what_is_no_mark_of_this_run_stays_text(text: str) -> None:
    assert put([text, {"x": text}]) == [text, {"x": text}]


def test_keys_are_not_replaced_and_no_nonce_is_no_mark() -> None:
    assert put({mark("token"): 1}) == {mark("token"): 1}
    assert revealed(mark("token", ""), SecretMarks("", MARKS.names), SECRETS.__getitem__) == mark("token", "")


@pytest.mark.parametrize("path", ["login/nobody", "login/deep/b", "login/user/x", "token/x"])
def test_a_key_that_is_not_there_is_named(path: str) -> None:
    with pytest.raises(InvalidArgument, match=path.partition("/")[2].replace("/", r"\.")) as caught:
        put(mark(path))
    assert "ada" not in caught.value.message
