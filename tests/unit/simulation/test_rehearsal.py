"""What a rehearsal finds is the document's fault for certain; what might work is never refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from factotum.cli.catalog import installed
from factotum.procedures.parse import Source, parse
from factotum.simulation.rehearsal import rehearse
from tests.support.simulated import CATALOG, HEAD

FOLDER = Path(__file__).parents[3] / "procedures"
INPUT = """
input: {schema: {document: {type: object, properties: {n: {type: integer}, names: {type: array, items: {type: string}}},
  required: [n, names]}}}
"""


def source(text: str, head: str = INPUT) -> Source:
    return parse(HEAD + head + text)


@pytest.mark.parametrize(
    ("text", "pointer", "message"),
    [
        ("do: [{a: {call: x.get}}, {b: {set: {n: '${ .id + 1 }'}}}]", "/do/1/b/set", "cannot be added"),
        ("do: [{a: {set: {n: '${ .names.first }'}}}]", "/do/0/a/set", "Cannot index array"),
        ("do: [{a: {for: {in: .n}, do: [{b: {set: {}}}]}}]", "/do/0/a/for/in", "must give an array"),
        ("do: [{a: {call: x.strict, with: {n: '${ .names }'}}}]", "/do/0/a", "is not of type 'integer'"),
        ("do: [{a: {call: x.strict, with: '${ . }'}}]".replace("'${ . }'", "{m: 1}"), "/do/0/a", "'n' is a required"),
        ("do: [{a: {set: {x: 1}, then: b}}, {b: {set: {x: 1}, then: a}}]", "/do/0/a", "endless loop"),
        ("do: [{a: {set: {x: 1}}}]\noutput: {as: .x.y}", "/output/as", "Cannot index number"),
    ],
)
def test_what_fails_whatever_tools_answer_is_a_fault(text: str, pointer: str, message: str) -> None:
    (fault,) = rehearse(source(text), CATALOG)
    assert fault.pointer == pointer
    assert message in fault.message
    assert fault.line > 0


@pytest.mark.parametrize(
    "text",
    [
        # Texts may be numbers, dates, addresses.
        "do: [{a: {call: x.get}}, {b: {set: {n: '${ .id | tonumber }'}}}]",
        "do: [{a: {call: x.get}}, {b: {set: {n: '${ .id | fromjson | .x }'}}}]",
        # Lists may be long, or empty; what may be null often is.
        "do: [{a: {set: {n: '${ .names[4] * 2 }'}}}]",
        "do: [{a: {call: x.maybe}}, {b: {set: {n: '${ . + 1 }'}}}]",
        "do: [{a: {set: {n: '${ (.names[4] | ascii_downcase) + \"x\" }'}}}]",
        # A tool that says nothing of its answer may answer this.
        "do: [{a: {call: x.any}}, {b: {set: {n: '${ .n + [1] + \"x\" }'}}}]",
        # Somebody deals with it, or means it.
        "do: [{a: {try: [{b: {set: {n: '${ .names + 1 }'}}}], catch: {do: [{c: {set: {}}}]}}}]",
        "do: [{a: {raise: {error: {type: 'https://serverlessworkflow.io/spec/1.0.0/errors/expression', status: 400, "
        "detail: Cannot index}}}}]",
        # Nothing of the document.
        "do: [{a: {listen: {to: {one: {with: {type: t}}}}}}]",
    ],
)
def test_what_might_work_is_no_fault(text: str) -> None:
    assert rehearse(source(text), CATALOG) == []


def test_an_input_that_is_not_known_is_not_judged_and_a_given_one_is() -> None:
    unknown = source("do: [{a: {set: {n: '${ .n + 1 }'}}}]", head="")
    assert rehearse(unknown, CATALOG) == []
    assert rehearse(unknown, CATALOG, {"n": 1}) == []
    (fault,) = rehearse(unknown, CATALOG, {"n": "text"})
    assert fault.pointer == "/do/0/a/set"


@pytest.mark.parametrize("name", ["employee-onboarding", "employee-offboarding"])
def test_the_packaged_procedures_pass_and_quickly(name: str) -> None:
    found = parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    tools: Any = installed()
    assert rehearse(found, tools) == []
    spent = []
    for _ in range(3):
        began = time.process_time()
        rehearse(found, tools)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.1
