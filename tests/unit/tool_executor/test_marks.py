"""Marks become values for the tool alone, and values become stars in whatever it says."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.sdk.errors import InvalidArgument
from factotum.tool_executor.calls import SecretMarks
from factotum.tool_executor.marks import Mask, revealed

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


@given(
    secret=st.text(min_size=4, max_size=12).filter(lambda text: "*" not in text),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_no_form_of_a_value_is_left(secret: str, before: str, after: str) -> None:
    mask = Mask()
    mask.add(secret)
    said = f"{before}{secret}{after}"
    assert secret not in mask.text(said)
    assert secret not in json.loads(mask.json(json.dumps({"a": [said]})))["a"][0]
    if len(secret.encode()) >= 6:
        encoded = base64.b64encode(said.encode()).decode()
        assert mask.text(encoded) != encoded
    assert quote(secret, safe="") not in mask.text(f"https://x.example/?q={quote(said, safe='')}")


def test_what_a_secret_object_holds_is_masked_also_as_a_number_or_a_key() -> None:
    mask = Mask()
    mask.add('{"user": "adalovelace", "pin": 12345, "on": true, "no": "abc"}')
    said = json.dumps({"adalovelace": 12345, "b": [True, 1, "abc", "pin 12345"]})
    assert json.loads(mask.json(said)) == {"***": "***", "b": [True, 1, "abc", "pin ***"]}


def test_without_secrets_nothing_is_read_or_changed() -> None:
    text = '{"a":  1.0}'
    assert Mask().json(text) is text
    mask = Mask()
    mask.add("not in there")
    assert mask.json(text) is text
