"""Documents with a mistake each: refused at the right place, with advice."""

from __future__ import annotations

import pytest

from factotum.procedures.check import called_tools, check
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import parse
from factotum.sdk.spec import Effect, Idempotency, ToolSpec

HEAD = "document: {dsl: '1.0.3', namespace: test, name: t, version: '1.0.0'}\n"


def spec(name: str, effect: Effect, **properties: object) -> ToolSpec:
    return ToolSpec(
        name=name,
        version="1.0.0",
        description="",
        effect=effect,
        idempotency=Idempotency.NATIVE,
        input_schema={
            "type": "object",
            "properties": properties,
            "required": sorted(properties),
            "additionalProperties": False,
        },
        output_schema={"type": "object"},
    )


CATALOG = {
    tool.name: tool
    for tool in (
        spec("mail.send", Effect.SEND, to={"type": "string"}, size={"type": "integer"}),
        spec("mail.read", Effect.NONE),
    )
}
GOOD = "{call: mail.send, with: {to: '${ .who }', size: 3}}"


def faults(text: str) -> list[str]:
    try:
        return [str(fault) for fault in check(parse(HEAD + text), CATALOG)]
    except FaultyDocument as error:
        return [str(fault) for fault in error.faults]


def test_a_sound_document_has_no_fault() -> None:
    assert faults(f"do:\n  - a: {GOOD}\n") == []


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("do: []\n", "2:1", "must have at least one entry"),
        ("do:\n  - a: {set: {}}\n  - a: {set: {}}\n", "2:1", "two entries of one list are named a"),
        ("do:\n  - a: {sett: {}}\n", "3:5", "a task must have one of"),
        ("do:\n  - a: {set: {}, tehn: end}\n", "3:18", "`tehn` is not a property here"),
        ("do:\n  - a: {listen: {}}\n", "3:", "`to` is missing"),
        ("do:\n  - a: {set: {}, then: b}\n", "3:18", "`then: b` leads nowhere. Here are a, continue, end, exit"),
        ("do:\n  - a: {switch: [{x: {then: b}}]}\n", "3:23", "leads nowhere"),
        ("do:\n  - a: {call: mail.sent}\n", "3:9", "there is no tool `mail.sent`. Did you mean `mail.send`?"),
        ("do:\n  - a: {call: mail.send, with: {size: 1}}\n", "3:26", "'to' is a required property"),
        ("do:\n  - a: {call: mail.send, with: {to: a, size: b}}\n", "3:40", "'b' is not of type 'integer'"),
        ("do:\n  - a: {call: mail.send, with: {to: a, size: 1, cc: c}}\n", "3:49", "takes no `cc`. It takes to, size"),
        ("do:\n  - a: {set: {x: '${ now }'}}\n", "3:15", "`now` is not allowed"),
        ("do:\n  - a: {set: {x: '${ .a | }'}}\n", "3:15", "syntax error"),
        ("do:\n  - a: {set: {x: '${ .a'}}\n", "3:15", "is not closed by `}`. Close it"),
        ("do:\n  - a: {if: 'nonsense(1)', set: {}}\n", "3:9", "`nonsense` is not allowed"),
        ("do:\n  - a: {wait: soon}\n", "3:9", "not an ISO 8601 duration"),
        ("input: {schema: {document: {type: objekt}}}\ndo:\n  - a: {set: {}}\n", "2:18", "not a JSON Schema"),
        (
            f"do:\n  - a: {GOOD[:-1]}, metadata: {{compensate: {{call: mail.read}}}}}}\n",
            "3:",
            "has no effect, so it undoes nothing",
        ),
        ("do:\n  - a: {set: {}, metadata: {compensate: {call: mail.read}}}\n", "3:29", "only a `call` or a `run`"),
        ("do:\n  - a: {set: {}}\n  b: 1\n", "4:3", "not YAML"),
        ("do:\n  - a: {set: {}}\ndo:\n  - b: {set: {}}\n", "4:1", "the key 'do' stands twice"),
        ("do:\n  - a: {set: {x: '${ $nope }'}}\n", "3:15", "`$nope` is not available here. Here are $context, $input"),
        ("do:\n  - a: {if: '$input.x', set: {}}\n", "3:9", "`$input` is not available here"),
        (
            "do:\n  - a: {call: mail.send, with: {to: a, size: 1}, metadata: {compensate: "
            "{call: mail.send, with: {to: '${ $g }', size: 1}}}}\n",
            "3:",
            "`$g` is not available here",
        ),
        ("do:\n  - a: {for: {in: .x, each: context}, do: [{b: {set: {}}}]}\n", "3:5", "the name of an argument"),
        ("do:\n  - a: {try: [{b: {set: {}}}], catch: {errors: {with: {statu: 1}}}}\n", "3:", "an error has no `statu`"),
        (
            "do:\n  - a: {fork: {branches: [{b: {set: {}, then: c}}, {c: {set: {}}}]}}\n",
            "3:",
            "`then: c` leads nowhere",
        ),
        ("do:\n  - a: {raise: {error: {type: x, status: 99999}}}\n", "3:", "must be 599 or less"),
        ("do:\n  - a: {set: {x: .nan}}\n", "3:18", "JSON has no infinity and no NaN"),
        ("do:\n  - a: {set: {x: !!binary aGk=}}\n", "3:18", "JSON has no binary"),
        ("input: {schema: {document: {$ref: '#/$defs/no'}}}\ndo:\n  - a: {set: {}}\n", "2:18", "leads nowhere inside"),
        ("input: {schema: {document: {$ref: 'http://x/y'}}}\ndo:\n  - a: {set: {}}\n", "2:18", "nothing is fetched"),
        ("schedule: {cron: '* * * * *', every: PT1M}\ndo:\n  - a: {set: {}}\n", "2:", "exactly one of"),
    ],
)
def test_a_mistake_is_named_where_it_stands(text: str, place: str, message: str) -> None:
    found = faults(text)
    assert any(fault.startswith(place) and message in fault for fault in found), found


def test_arguments_made_of_expressions_are_not_judged_by_type() -> None:
    assert faults("do:\n  - a: {call: mail.send, with: {to: '${ .a }', size: '${ .b }'}}\n") == []


def test_called_tools_include_compensations() -> None:
    text = f"do:\n  - a: {{do: [{{b: {GOOD[:-1]}, metadata: {{compensate: {{call: mail.recall}}}}}}}}]}}\n"
    assert called_tools(parse(HEAD + text).document) == {"mail.send", "mail.recall"}
