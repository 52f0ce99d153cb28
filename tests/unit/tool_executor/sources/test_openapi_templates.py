"""Texts that take up a call: its key, its time, its arguments."""

from __future__ import annotations

import uuid
from typing import Any

from factotum.tool_executor.sources.openapi.templates import effect_key, filled, known, marked
from tests.support.tool_calls import tool_context


def test_the_key_is_one_effects_and_one_tenants() -> None:
    key = effect_key(tool_context(None, key="a"))
    assert uuid.UUID(key).version == 8 and key == effect_key(tool_context(None, key="a"))
    assert len({key, effect_key(tool_context(None, key="b")), effect_key(tool_context(None, key="a", tenant="x"))}) == 3


def test_texts_are_filled_in() -> None:
    arguments: dict[str, Any] = {"owner": "ada", "body": {"title": "T", "ids": [1, 2], "none": None}}
    given = known(tool_context(None, key="a"))
    assert given["$since"] == "2026-11-24T08:59:55Z"
    for template, found in [
        ("{owner}", "ada"),
        ("{body.ids}", [1, 2]),
        ("{body.none}", None),
        ("{$key}", given["$key"]),
        ("of {owner}: {body.title}{body.none} {body.ids}", "of ada: T [1, 2]"),
        ({"a": ["{owner}", 1]}, {"a": ["ada", 1]}),
        ("{not a place}", "{not a place}"),
        ("{$other}", None),
    ]:
        assert filled(template, arguments, given) == found


def test_marks_are_put_in_and_lists_added() -> None:
    given = {"$key": "k"}
    arguments: dict[str, Any] = {"body": {"text": "Hello", "tags": ["mine"]}}
    made = marked(arguments, {"body.text": "{body.text} ({$key})", "body.tags": ["{$key}"], "body.id": "{$key}"}, given)
    assert made == {"body": {"text": "Hello (k)", "tags": ["mine", "k"], "id": "k"}}
    assert marked({}, {"body.tags": ["{$key}"]}, given) == {"body": {"tags": ["k"]}}
    assert arguments == {"body": {"text": "Hello", "tags": ["mine"]}}
