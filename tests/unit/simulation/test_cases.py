"""How a simulation is held against what a case expects."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from factotum.simulation.cases import Case, Expectation, differences
from tests.support.simulated import simulated

TEXT = """
do:
  - a: {call: x.do, metadata: {compensate: {call: x.undo}}}
  - b: {call: x.get}
  - c: {call: x.other, metadata: {compensate: {call: x.undo}}}
  - d: {call: x.get}
"""


@pytest.mark.parametrize(
    ("expect", "fail"),
    [
        ({}, ()),
        ({"status": "completed", "output": {"id": "id-4"}, "effects": ["x.do", "x.other"], "undone": []}, ()),
        ({"effects": {"any_order": ["x.other", "x.do"]}}, ()),
        ({"status": "failed", "error": {"status": 404}, "undone": ["/do/2/c", "/do/0/a"]}, ("/do/3/d=not_found",)),
        ({"status": "failed", "left": ["/do/0/a"]}, ("/do/3/d=not_found", "/do/0/a/metadata/compensate=conflict")),
        ({"status": "waiting"}, ("/do/3/d=unavailable",)),
    ],
)
def test_what_ends_as_expected_differs_in_nothing(expect: Any, fail: tuple[str, ...]) -> None:
    assert differences(Expectation.model_validate(expect), simulated(TEXT, fail=fail)) == []


@pytest.mark.parametrize(
    ("expect", "fail", "words"),
    [
        ({"status": "failed"}, (), ["status: expected failed, found completed"]),
        ({}, ("/do/3/d=not_found",), ["found failed: /do/3/d: not found"]),
        ({}, ("/do/3/d=unavailable",), ["found waiting; /do/3/d x.get is tried again"]),
        ({"output": None}, (), ["output: - expected, + found", "- null", '"id": "id-4"']),
        ({"output": {"id": "x"}}, (), ['-   "id": "x"', '+   "id": "id-4"']),
        ({"effects": ["x.other", "x.do"]}, (), ["effects: - expected"]),
        ({"effects": {"any_order": ["x.do", "x.do"]}}, (), ["effects in any order", '-   "x.do"', '+   "x.other"']),
        ({"status": "failed", "error": {"status": 409}}, ("/do/3/d=not_found",), ["error:", "409", "404"]),
        ({"status": "failed", "undone": ["/do/0/a"]}, ("/do/3/d=not_found",), ["undone:", '+   "/do/2/c"']),
        ({"status": "failed", "left": []}, ("/do/3/d", "/do/0/a/metadata/compensate"), ["left:", "/do/0/a"]),
    ],
)
def test_what_ends_otherwise_is_said(expect: Any, fail: tuple[str, ...], words: list[str]) -> None:
    found = "\n".join(differences(Expectation.model_validate(expect), simulated(TEXT, fail=fail)))
    assert found
    for word in words:
        assert word in found


def test_a_case_is_closed() -> None:
    with pytest.raises(ValidationError):
        Case.model_validate({"procedure": "a/b", "expects": {}})
    case = Case.model_validate({"procedure": "a/b", "input": None})
    assert case.has_input and not Case.model_validate({"procedure": "a/b"}).has_input
