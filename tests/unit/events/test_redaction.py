"""Which names mean a secret."""

from __future__ import annotations

import json

import pytest

from factotum.events.redaction import may_name_secrets, without_secrets


@pytest.mark.parametrize(
    "name",
    [
        *("password", "newPassword", "passwd", "pass-phrase", "api_key", "apiKey", "API-Key", "x.api.key"),
        *("client_secret", "accessToken", "Authorization", "credentials", "private key", "PRIVATE_KEY"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    value = {"a": [{name: "x", "b": 1}], name: {"c": 2}}
    assert without_secrets(value) == {"a": [{"b": 1}]}
    assert may_name_secrets(json.dumps(value))


@pytest.mark.parametrize("value", [None, 1, "password", [], {}, {"pass": 1, "key": 2, "userName": "ada"}])
def test_everything_else_stays(value: object) -> None:
    assert without_secrets(value) == value
    assert value == "password" or not may_name_secrets(json.dumps(value))


def test_a_name_that_is_written_with_escapes_is_one_too() -> None:
    assert may_name_secrets(r'{"p\u0061ssword": 1}')
