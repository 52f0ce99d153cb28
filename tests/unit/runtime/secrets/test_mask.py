"""Values become stars, in whatever form they stand in a text."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.runtime.secrets.mask import Known, Mask

VALUE = "s3cret+/ü<&>\"'\\ 9"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END PRIVATE KEY-----\n"


def mask(*values: str) -> Mask:
    made = Mask()
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize(
    "form",
    [
        VALUE,
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        repr(VALUE),
        repr(VALUE.encode()),
        repr(f"'{VALUE}'"),
        json.dumps(json.dumps(json.dumps({"a": VALUE}))),
        repr(json.dumps({"a": repr(VALUE)})),
        repr(repr([VALUE.encode()])),
        quote(json.dumps({"a": VALUE})),
        html.escape(VALUE),
        html.escape(VALUE, quote=False),
        quote(VALUE),
        quote(VALUE, safe=""),
        quote_plus(VALUE),
        quote(VALUE, safe="").lower(),
        VALUE.encode().hex(),
        VALUE.encode().hex().upper(),
        base64.b64encode(VALUE.encode()).decode(),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_value_is_masked_however_it_is_written(form: str) -> None:
    told = mask(VALUE).text(f"at {form}!")
    assert "***" in told and "s3cret" not in told and form.strip("'\"b=") not in told
    assert mask("another-secret").text(f"at {form}!") == f"at {form}!"


def test_credentials_of_basic_authentication_are_masked_inside_of_their_base64() -> None:
    header = base64.b64encode(b"ada:" + VALUE.encode()).decode()
    assert header not in mask(VALUE).text(f"Authorization: Basic {header}")


def test_of_a_key_each_line_is_masked_and_not_what_every_key_has() -> None:
    said = mask(KEY).text("\n".join(f"> {line}" for line in KEY.splitlines()))
    assert said == "> -----BEGIN PRIVATE KEY-----\n> ***\n> ***\n> -----END PRIVATE KEY-----"


def test_a_value_within_another_leaves_nothing_of_the_longer() -> None:
    assert mask("hunter2", "hunter2-hunter3").text("at hunter2-hunter3!") == "at ***!"


@pytest.mark.parametrize("short", ["", "a", "abc"])
def test_a_value_that_stands_in_texts_by_chance_is_left(short: str) -> None:
    assert mask(short).text("abcabc a") == "abcabc a"


@given(
    secret=st.text(min_size=4, max_size=12).filter(lambda text: "*" not in text),
    before=st.text(max_size=5),
    after=st.text(max_size=5),
)
def test_no_form_of_a_value_is_left(secret: str, before: str, after: str) -> None:
    made = mask(secret)
    said = f"{before}{secret}{after}"
    assert secret not in made.text(said)
    assert secret not in json.loads(made.json(json.dumps({"a": [said]})))["a"][0]
    if len(secret.encode()) >= 6:
        encoded = base64.b64encode(said.encode()).decode()
        assert made.text(encoded) != encoded
    assert quote(secret, safe="") not in made.text(f"https://x.example/?q={quote(said, safe='')}")


def test_what_a_secret_object_holds_is_masked_also_as_a_number_or_a_key() -> None:
    made = mask('{"user": "adalovelace", "pin": 12345, "on": true, "no": "abc"}')
    said = json.dumps({"adalovelace": 12345, "b": [True, 1, "abc", "pin 12345"]})
    assert json.loads(made.json(said)) == {"***": "***", "b": [True, 1, "abc", "pin ***"]}


def test_without_secrets_nothing_is_read_or_changed() -> None:
    text = '{"a":  1.0}'
    assert Mask().json(text) is text
    assert mask("not in there").json(text) is text
    line = {"a": object()}
    assert Known().value(line) is line


def test_a_process_knows_what_it_was_given_of_late() -> None:
    class Odd:
        def __repr__(self) -> str:
            return "<of hunter2-hunter2>"

    known = Known()
    known.add("hunter2-hunter2")
    line: Any = known.value({"a": ("hunter2-hunter2", 1, None), "hunter2-hunter2": Odd()})
    assert line == {"a": ["***", 1, None], "***": "<of ***>"}
    for number in range(1000):
        known.add(f"another-value-{number}")
        known.add("another-value-0")  # in use all the time
    assert known.text("another-value-0 another-value-999") == "*** ***"
    assert known.text("hunter2-hunter2") == "hunter2-hunter2"
