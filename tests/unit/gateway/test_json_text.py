import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.gateway import json_text
from factotum.gateway.errors import Malformed


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        '{"a": 1}'.encode("utf-16"),
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b"9" * 5000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b"01",
        b"{'a': 1}",
        b'"\x00"',
        b"{} {}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_refuses(body: bytes) -> None:
    with pytest.raises(Malformed):
        json_text.parse(body)


def test_pairs_of_surrogates_are_characters() -> None:
    assert json_text.parse(b'"\\ud83d\\ude00"') == "\U0001f600"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_reads_all_other_json(value: Any) -> None:
    assert json_text.parse(json.dumps(value).encode()) == value


@given(st.binary())
def test_raises_nothing_else(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        json_text.parse(body)
