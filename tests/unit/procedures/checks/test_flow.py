"""Where `then` leads, what is never reached, what never ends."""

from __future__ import annotations

import pytest

from tests.support.checked import said


def tasks(*lines: str) -> str:
    return "do:\n" + "".join(f"  - {line}\n" for line in lines)


SET = "set: {x: 1}"


@pytest.mark.parametrize(
    "text",
    [
        tasks(f"a: {{{SET}, then: c}}", f"b: {{{SET}, then: end}}", f"c: {{{SET}, then: b}}"),
        tasks(f"a: {{if: .x, {SET}, then: end}}", f"b: {{{SET}}}"),
        tasks("a: {if: .x, raise: {error: {type: a:t, status: 400}}}", f"b: {{{SET}}}"),
        tasks("a: {switch: [{x: {when: .x, then: c}}], then: b}", "b: {wait: PT1S, then: end}", f"c: {{{SET}}}"),
        tasks(f"a: {{{SET}}}", "b: {switch: [{again: {when: .x, then: a}}]}"),
        tasks(f"a: {{{SET}}}", f"b: {{if: .x, {SET}, then: a}}"),
        tasks("a: {do: [{inner: {if: .x, raise: {error: {type: a:t, status: 400}}}}]}", f"b: {{{SET}, then: a}}"),
        tasks("a: {do: [{inner: {if: .x, set: {}, then: end}}], then: a}"),
        f"timeout: {{after: PT1H}}\n{tasks('a: {wait: PT1M, then: a}')}",
        tasks("r: {timeout: {after: PT1H}, do: [{a: {wait: PT1M, then: a}}]}"),
        tasks("t: {try: [{r: {raise: {error: {type: a:t, status: 400}}}}], catch: {}}", f"b: {{{SET}}}"),
        tasks("f: {for: {in: .x}, do: [{a: {set: {}, then: end}}]}", f"b: {{{SET}}}"),
        tasks("f: {fork: {branches: [{a: {set: {}, then: end}}, {b: {set: {}}}], compete: true}}", f"b: {{{SET}}}"),
        tasks("d: {do: [{a: {set: {}, then: exit}}]}", f"b: {{{SET}}}"),
    ],
)
def test_a_way_that_can_be_gone_is_no_fault(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        (tasks(f"a: {{{SET}, then: end}}", f"b: {{{SET}}}", f"c: {{{SET}}}"), "/do/1/b", "`b` is never reached"),
        (tasks(f"a: {{{SET}, then: exit}}", f"b: {{{SET}}}"), "/do/1/b", "`b` is never reached"),
        (tasks(f"a: {{{SET}, then: c}}", f"b: {{{SET}}}", f"c: {{{SET}}}"), "/do/1/b", "`b` is never reached"),
        (tasks("a: {raise: {error: {type: a:t, status: 400}}}", f"b: {{{SET}}}"), "/do/1/b", "`b` is never reached"),
        (tasks("a: {do: [{i: {set: {}, then: end}}]}", f"b: {{{SET}}}"), "/do/1/b", "`b` is never reached"),
        (
            tasks("f: {fork: {branches: [{a: {set: {}, then: end}}, {b: {set: {}}}]}}", f"b: {{{SET}}}"),
            "/do/1/b",
            "`b` is never reached",
        ),
        (
            tasks("t: {try: [{a: {set: {}, then: end}}], catch: {do: [{c: {set: {}, then: end}}]}}", f"b: {{{SET}}}"),
            "/do/1/b",
            "`b` is never reached",
        ),
        (
            tasks("s: {switch: [{x: {when: .x, then: c}}, {y: {then: end}}]}", f"b: {{{SET}}}", f"c: {{{SET}}}"),
            "/do/1/b",
            "`b` is never reached",
        ),
        (tasks(f"a: {{do: [{{b: {{{SET}, then: end}}}}, {{c: {{{SET}}}}}]}}"), "/do/0/a/do/1/c", "never reached"),
        (tasks("a: {wait: PT1S, then: a}"), "/do/0/a/then", "this never ends: from `a`"),
        (tasks(f"a: {{{SET}}}", "b: {wait: PT1S, then: a}"), "/do/1/b/then", "from `a`, `b` no way leads out"),
        (
            tasks("a: {switch: [{x: {when: .x, then: b}}], then: b}", "b: {wait: PT1S, then: a}"),
            "/do/1/b/then",
            "this never ends",
        ),
        (tasks(f"a: {{{SET}, then: aa}}", f"ab: {{{SET}}}"), "/do/0/a/then", "`then: aa` leads nowhere"),
        (tasks("f: {fork: {branches: [{a: {set: {}, then: b}}, {b: {set: {}}}]}}"), "/do/0/f/fork", "leads nowhere"),
        (f"use: {{functions: {{f: {{{SET}, then: g}}}}}}\n{tasks('a: {call: f}')}", "/use/functions/f/then", "nowhere"),
        (
            "use: {extensions: [{log: {extend: all, before: [{a: {set: {}, then: end}}, {b: {set: {}}}]}}]}\n"
            + tasks(f"a: {{{SET}}}"),
            "/use/extensions/0/log/before/1/b",
            "never reached",
        ),
    ],
)
def test_a_way_that_cannot_be_gone_is_one_fault(text: str, where: str, message: str) -> None:
    found = said(text)
    assert len(found) == 1, found
    assert found[0].startswith(where), found
    assert message in found[0]
