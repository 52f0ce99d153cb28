"""What takes an effect back is called with what a run would give it."""

from __future__ import annotations

from typing import Any

import pytest

from factotum.procedures import expressions
from factotum.sdk.conformance.compensation import _made
from factotum.sdk.conformance.world import Fault

OUTPUT = {"id": 7, "keys": ["a", "b"], "made by": {"name": "ada"}, "text": "${ .id }"}


@pytest.mark.parametrize(
    "template",
    [
        "plain",
        7,
        {"id": "${ .id }", "deep": [{"who": '${ .["made by"].name }'}]},
        '${ .keys | join("/") }',
        "${ {id, first: .keys[0]} }",
        " ${ .id } ",
        'badge ${ .id } of ${ .["made by"].name }',
        "${ .id }${ .keys }",
        "${ .keys[] }",
        '${ .keys[] | select(. == "c") }',
        "none: ${ empty }.",
        '${ "a } b" } \\(.id)',
        '${ "\\(.keys | map("{\\(.)}") | add)" }',
        "${ .text }",
        '${ if .id > 3 then "big" else "small" end }',
        "${ .id # the number\n }",
    ],
)
def test_its_arguments_are_those_of_a_step(template: Any) -> None:
    assert _made(template, OUTPUT) == expressions.evaluate(template, OUTPUT, {})


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("${ .id", "is no expression"),
        ("${ .nothing }", "is not in the output"),
        ('${ .["made by"].age }', "is not in the output"),
        ("${ .keys.a }", "is not in the output"),
        ("${ .id + }", "cannot be made of the output"),
        ("${ .id | error }", "cannot be made of the output"),
        ("of ${ .id | keys }", "cannot be made of the output"),
        ("${ $input.id }", "cannot be made of the output"),
    ],
)
def test_what_cannot_be_made_is_a_fault(template: str, words: str) -> None:
    with pytest.raises(Fault, match=words):
        _made({"x": [template]}, OUTPUT)
