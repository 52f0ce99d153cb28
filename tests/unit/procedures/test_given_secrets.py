"""What a document tells of the secrets that its calls are given, against what a run gives them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from factotum.procedures import expressions
from factotum.procedures.given_secrets import GivenSecrets
from factotum.procedures.parse import Source, parse
from factotum.procedures.planned_calls import planned_calls
from factotum.procedures.program import run_unbounded
from factotum.tool_executor import marks
from factotum.tool_executor.calls import Call, Origin, SecretMarks
from factotum.workflows import secrets

HEAD = """document: {dsl: '1.0.3', namespace: t, name: p, version: '1.0.0'}
use:
  secrets: [a, b, c]
  authentications: {known: {bearer: {token: '${ $secrets.a }'}}, named: {basic: {use: b}}}
"""

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def document(text: str, head: str = HEAD) -> Source:
    return parse(head + text)


def given(text: str, head: str = HEAD) -> GivenSecrets:
    (call,) = planned_calls(document(f"do:\n  - x: {text}\n", head))
    return call.secrets


def of_program(program: str) -> tuple[str, tuple[str, ...], bool]:
    """The names, in one text, of what an argument with this program is given, where they are hidden, and whether there
    may be others."""
    quoted = program.replace("'", "''")
    found = given(f"{{call: mail.send, with: {{v: '{quoted}'}}}}")
    return "".join(found.names), found.hidden, found.others


@pytest.mark.parametrize(
    ("program", "names", "hidden"),
    [
        ("${ $secrets.a }", "a", ("/v",)),
        ("Bearer ${ $secrets.a } of ${ .x }", "a", ("/v",)),
        ('${ "Bearer \\($secrets.a)" }', "a", ("/v",)),
        ('${ "Bearer " + $secrets.a }', "a", ("/v",)),
        ("${ .x + $secrets.a }", "a", ("/v",)),
        ("${ {k: $secrets.a, l: [$secrets.b, .x]} }", "ab", ("/v/k",)),
        ("${ {k: {l: $secrets.a}} | {m: $secrets.b} }", "b", ("/v/m",)),
        ("${ [$secrets.a, $secrets.b] }", "ab", ()),
        ("${ [$secrets.a, .l[]] }", "a", ()),
        ("${ if .x then $secrets.a else $secrets.a end }", "a", ()),
        ("${ $secrets.a // $secrets.b }", "a", ()),
        ("${ . as {x: $y} | $secrets.a }", "a", ()),
        ("${ (.x | tostring) + $secrets.a }", "a", ("/v",)),
        ("${ $secrets.a, $secrets.b }", "a", ()),
        # What need not be so is not told.
        ("${ .x }", "", ()),
        ("${ if .x then $secrets.a else $secrets.b end }", "", ()),
        ("${ .x // $secrets.a }", "", ()),
        ("${ {k: $secrets.a, l: .l[]} }", "", ()),
        ("${ {k: $secrets.a, k: 1} }", "", ()),
        ("${ {k: $secrets.a, (.k): 1} }", "", ()),
        ("${ {k: $secrets.a} + .x }", "", ()),
        ("${ .x + {k: $secrets.a} }", "a", ()),
        ("${ .l[] | $secrets.a }", "", ()),
        ('${ "\\($secrets.a) \\(.l[])" }', "", ()),
        ("t ${ .l[] | $secrets.a }", "", ()),
        ("${ . as $secrets | $secrets.a }", "", ()),
        ("${ .l[] , $secrets.a }", "", ()),
        ("${ [.l[] | $secrets.a] }", "", ()),
        ("${ (.l[] | $secrets.a) // .y }", "", ()),
    ],
)
def test_a_program(program: str, names: str, hidden: tuple[str, ...]) -> None:
    assert of_program(program) == (names, hidden, True)


def test_what_is_written_out_is_told_whole() -> None:
    assert given("{call: mail.send, with: {to: x, list: [a, 'a b', {k: c}]}}") == GivenSecrets(("a", "c"), others=False)
    assert given("{call: mail.send, with: {to: x}}") == GivenSecrets()
    assert given("{call: mail.send, with: {to: '${ .x }'}}", HEAD.split("use:")[0]) == GivenSecrets()
    all_of_them = "{call: mail.send, with: {to: '${ [$secrets.a, $secrets.b, $secrets.c, .x] }'}}"
    assert given(all_of_them) == GivenSecrets(("a", "b", "c"), others=False)


def test_a_secret_whose_keys_are_named_is_an_object_and_no_text() -> None:
    text = "{call: mail.send, with: {whole: '${ $secrets.a }', part: '${ $secrets.a.user }', in: 'x ${ $secrets.a }'}}"
    assert given(text) == GivenSecrets(("a",), others=True, hidden=("/part", "/in"))
    assert given("{call: mail.send, with: {v: '${ $secrets.a + {x: 1} }', w: '${ $secrets.a.k }'}}").names == ("a",)
    # Its only key may be taken by what is added to it.
    head = HEAD.replace("summary", "") + "  timeouts: {t: {after: '${ $secrets.b.k }'}}\n"
    assert given("{call: mail.send, with: {v: '${ $secrets.b + {k: 1} }'}}", head).names == ()


def test_protocols_and_processes() -> None:
    named = "{call: http, with: {method: get, endpoint: {uri: 'http://x.example', authentication: {use: %s}}}}"
    assert given(named % "known") == GivenSecrets(("a",), True, ("/endpoint/authentication/bearer/token",))
    assert given(named % "named") == GivenSecrets(("b",), False)
    template = "{call: http, with: {method: get, endpoint: 'http://x.example/{a}', body: c}}"
    assert given(template) == GivenSecrets(("c",), True)
    # A policy is named where the protocol has one, not in what is sent.
    body = "{call: http, with: {method: get, endpoint: 'http://x.example', body: {authentication: {use: named}}}}"
    assert given(body) == GivenSecrets()
    shell = "{run: {shell: {command: ls, environment: {T: '${ $secrets.b }'}}}}"
    assert given(shell) == GivenSecrets(("b",), True, ("/environment/T",))
    assert given("{run: {shell: {command: ls}, return: code}}", HEAD.replace("[a, b", "[code, b")).names == ("code",)


def test_what_is_subscribed_to_is_received_and_not_published() -> None:
    text = """do:
  - x:
      call: asyncapi
      with:
        document: {endpoint: 'http://x.example'}
        channel: c
        subscription: {filter: '${ .x }', consume: {amount: 1}}
"""
    (call,) = planned_calls(document(text))
    assert (call.tool, call.secrets) == ("asyncapi.receive", GivenSecrets(("c",)))


def test_where_nothing_can_be_told() -> None:
    loose = HEAD + "evaluate: {mode: loose}\n"
    for text in ("{call: mail.send, with: {to: '${ $secrets.a }'}}", "{call: http, with: {method: get, endpoint: x}}"):
        assert given(text, loose) == GivenSecrets(others=True)
    assert given("{call: 'mail.send:1.0.0@default', with: {to: a}}") == GivenSecrets(others=True)
    assert given("{call: mail.send, with: {to: '${ $secrets.a'}}") == GivenSecrets(others=True)


PROGRAMS = [program for mark in test_a_program.pytestmark for program, *_ in mark.args[1]]  # type: ignore[attr-defined]
INPUTS: list[Any] = [
    {},
    {"x": True, "l": []},
    {"x": "t", "k": "k", "l": [1, 2]},
    {"x": {"k": "c"}, "k": "z", "l": ["b"]},
    {"x": [1], "y": "a"},
    {"x": False, "l": [None, False]},
]


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_run_gives_what_is_told(program: str) -> None:
    """Whatever the data: what is certain is given, and hidden where it is said."""
    quoted = program.replace("'", "''")
    source = document(f"do:\n  - x: {{call: mail.send, with: {{v: '{quoted}'}}}}\n")
    (call,) = planned_calls(source)
    assert call.arguments is not None
    declared, nonce = source.document.use.secrets, "n0nce"
    arguments = {"secrets": secrets.marks(source.raw, declared, nonce)}
    told = SecretMarks(nonce, frozenset(declared))

    async def costly(text: str, value: Any, bound: Any) -> Any:
        return run_unbounded(text, value, bound)

    made = 0
    for value in INPUTS:
        try:
            sent = asyncio.run(expressions.resolve(call.arguments, value, arguments, costly))
        except expressions.ExpressionError:
            continue
        made += 1
        hidden = marks.hidden(sent, told)
        assert {pointer.removeprefix("/") for pointer in call.secrets.hidden} <= hidden, value
        assert frozenset(call.secrets.names) <= _named(sent, told), value
    assert made


def _named(arguments: Any, told: SecretMarks) -> frozenset[str]:
    tool: Any = None
    return marks.named(Call("acme", tool, json.dumps(arguments), "", Origin(), NOW, secrets=told))
