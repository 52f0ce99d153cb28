"""Types followed through a document: what cannot go well is named, and nothing else."""

from __future__ import annotations

import time

import pytest

from tests.support.checked import said

INPUT = (
    "input: {schema: {document: {type: object, additionalProperties: false, required: [who, age, tags], properties: "
    "{who: {type: string}, age: {type: integer}, tags: {type: array, items: {type: string}}, nick: {type: string}}}}}\n"
)
SEND = "call: mail.send, with: {to: '%s', size: '%s'}"
FIND = "find: {call: people.find, with: {id: x}%s}"


def steps(*lines: str, head: str = INPUT) -> str:
    return head + "do:\n" + "".join(f"  - {line}\n" for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        steps(f"a: {{{SEND % ('${ .who }', '${ .age }')}}}"),
        steps(f"a: {{{SEND % ('${ .nick }', '${ .age }')}}}"),
        steps(f"a: {{{SEND % ('${ .anything }', '${ .at.all }')}}}", head=""),
        steps("a: {call: mail.read}", f"b: {{{SEND % ('${ .x }', '${ .y.z }')}}}"),
        steps(FIND % "", f"b: {{{SEND % ('${ .name }', '${ .tags | length }')}}}"),
        steps(FIND % ", export: {as: '{p: .}'}", f"b: {{{SEND % ('${ $context.p.name }', '${ $context.p.age }')}}}"),
        steps(FIND % ", output: {as: '{n: .name, w: $input.who}'}", f"b: {{{SEND % ('${ .n + .w }', '1')}}}").replace(
            "'1'", "1"
        ),
        steps("a: {if: .age, set: {n: 1}}", "b: {set: {x: '${ .who }', y: '${ .n }'}}"),
        steps("a: {set: {n: '1'}, if: .age}", f"b: {{{SEND % ('${ .who // .n }', '${ .age // 1 }')}}}"),
        steps(f"a: {{for: {{each: t, in: .tags}}, do: [{{b: {{{SEND % ('${ $t }', '${ $index }')}}}}}]}}"),
        steps("a: {for: {in: .tags}, do: [{b: {set: {n: '${ .n + 1 }'}}}]}", "c: {set: {x: '${ .n // .who }'}}"),
        steps(
            "a: {set: {n: 1}}",
            "b: {set: {n: '${ .n + 1 }', done: '${ .done }'}}",
            "c: {switch: [{more: {when: .n < 3, then: b}}]}",
        ),
        steps(
            "a: {switch: [{x: {when: .age > 1, then: b}}, {y: {then: c}}]}",
            "b: {set: {left: 1}, then: d}",
            "c: {set: {right: 1}}",
            "d: {set: {x: '${ .left // .right }', y: '${ .right }'}}",
        ),
        steps(
            "a: {fork: {branches: [{x: {set: {n: 1}}}, {y: {set: s}}]}}",
            f"b: {{{SEND % ('${ .[1] }', '${ .[0].n }')}}}",
        ),
        steps(
            "a: {fork: {compete: true, branches: [{x: {set: {n: 1}}}, {y: {set: {m: 2}}}]}}",
            "b: {set: {x: '${ .n // .m }'}}",
        ),
        steps(
            "a: {try: [{b: {set: {n: 1}}}], catch: {do: [{c: {set: {n: '${ $error.detail }'}}}]}}",
            f"d: {{{SEND % ('${ .n }', '${ .n }')}}}",
        ),
        steps(
            "a: {try: [{b: {set: {}, export: {as: '{e: 1}'}}}, {c: {call: mail.read}}], "
            "catch: {do: [{d: {set: {x: '${ $context.who }', y: '${ $context.e }'}}}]}}"
        ),
        steps("a: {set: {n: 1}, then: end}", head=INPUT + "output: {as: .n}\n"),
        steps("a: {if: .age > 1, set: {n: 1}, then: end}", head=INPUT + "output: {as: .n // .who}\n"),
        steps("a: {wait: '${ {seconds: .age} }'}"),
        steps("a: {wait: '${ .any.thing }'}", head=""),
        steps("a: {wait: PT1S}", "b: {set: {x: '${ .who }'}}"),
        steps("a: {listen: {to: {any: []}}, output: {as: '.[0].data.reading'}}", "b: {set: {x: '${ .y.z }'}}"),
        steps("a: {set: {x: '${ $workflow.input.who }', y: '${ $task.name }', z: '${ $workflow.startedAt.iso8601 }'}}"),
        steps(
            "a: {set: {x: 1}}",
            "b: {set: {x: '${ .y.z }'}}",
            head="use: {extensions: [{e: {extend: set, after: [{i: {set: {y: {z: 1}}}}]}}]}\n",
        ),
        steps(f"evaluate: {{}}\ndo: [{{a: {{{SEND % ('.who', '.age')}}}}}]".replace("do:\n  - ", ""), head="").replace(
            "do:\n  - evaluate: {}\n", "evaluate: {mode: loose}\n"
        ),
        steps(
            "a: {call: f, with: {n: '${ .age }'}}",
            head=INPUT
            + (
                "use: {functions: {f: {input: {schema: {document: {required: [n], properties: {n: {type: integer}}}}}, "
                "set: {x: '${ .n + 1 }'}}}}\n"
            ),
        ),
        steps("a: {raise: {error: {type: a:t, status: 400, detail: '${ .who }'}}}"),
        steps("a: {run: {shell: {command: '${ .who }', stdin: '${ .nick }'}}}", "b: {set: {x: '${ .out.put }'}}"),
    ],
)
def test_what_may_go_well_is_no_fault(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            steps(f"a: {{{SEND % ('${ .age }', '${ .age }')}}}"),
            "/do/0/a/with/to: `mail.send`: `to` is a whole number, where a text is expected. "
            "Make it a text: `… | tostring`",
        ),
        (steps(f"a: {{{SEND % ('${ .who }', '${ .who }')}}}"), "Make it a number: `… | tonumber`"),
        (
            steps(f"a: {{{SEND % ('${ .tags }', '${ .age }')}}}"),
            "`to` is an array, where a text is expected. Give it one",
        ),
        (steps(f"a: {{{SEND % ('${ .who }', 'n ${ .age }')}}}"), "`size` is a text, where a whole number is expected"),
        (
            steps(f"a: {{{SEND % ('${ .woh }', '${ .age }')}}}"),
            "/do/0/a/with/to: `.` has no property `woh`. Did you mean",
        ),
        (steps("a: {set: {x: '${ .who.first }'}}"), "/do/0/a/set/x: `.who` is a text, which has no property `first`"),
        (steps("a: {if: .aeg > 1, set: {}}"), "/do/0/a/if: `.` has no property `aeg`. Did you mean `age`?"),
        (steps("a: {switch: [{x: {when: .tags.x, then: end}}]}"), "/do/0/a/switch/0/x/when: `.tags` is an array"),
        (steps("a: {input: {from: .tags}, set: {x: '${ .who }'}}"), "/do/0/a/set/x: `.` is an array"),
        (steps("a: {set: {x: '${ $workflow.input.woh }'}}"), "has no property `woh`"),
        (steps("a: {set: {x: '${ $context.woh }'}}"), "`$context` has no property `woh`"),
        (steps("a: {set: {n: 1}}", "b: {set: {x: '${ .m }'}}"), "/do/1/b/set/x: `.` has no property `m`. It has n"),
        (steps("a: {set: {n: 1}}", "b: {wait: PT1S}", "c: {set: {x: '${ .n.x }'}}"), "/do/2/c/set/x: `.n` is a whole"),
        (steps(FIND % ", export: {as: '{p: .}'}", "b: {set: {x: '${ $context.p.nmae }'}}"), "Did you mean `name`?"),
        (steps(FIND % ", output: {as: .name}", "b: {set: {x: '${ .name }'}}"), "`.` is a text"),
        (steps(FIND % ", output: {as: '.nmae'}"), "/do/0/find/output/as: `.` has no property `nmae`"),
        (
            steps("a: {for: {in: .who}, do: [{b: {set: {}}}]}"),
            "/do/0/a/for/in: `in` gives a text, and must give an array",
        ),
        (
            steps(f"a: {{for: {{each: t, in: .tags}}, do: [{{b: {{{SEND % ('x', '${ $t }')}}}}}]}}"),
            "/do/0/a/do/0/b/with/size: `mail.send`: `size` is a text",
        ),
        (
            steps(f"a: {{for: {{in: .tags}}, do: [{{b: {{{SEND % ('${ $index }', '${ $index }')}}}}}]}}"),
            "`to` is a whole",
        ),
        (
            steps("a: {fork: {branches: [{x: {set: {n: 1}}}]}}", "b: {set: {x: '${ .x }'}}"),
            "/do/1/b/set/x: `.` is an array, which has no property `x`. Take one item, `[0].x`".replace("`[", "`.["),
        ),
        (
            steps("a: {fork: {branches: [{x: {set: {n: 1}}}]}}", "b: {set: {x: '${ .[0].m }'}}"),
            "`.[0]` has no property `m`",
        ),
        (
            steps(
                "a: {switch: [{x: {when: .age > 1, then: b}}, {y: {then: c}}]}",
                "b: {set: {left: 1}, then: d}",
                "c: {set: {right: 1}}",
                "d: {set: {x: '${ .middle }'}}",
            ),
            "/do/3/d/set/x: `.` has no property `middle`. It has left, right",
        ),
        (
            steps("a: {try: [{b: {set: {n: 1}}}], catch: {as: e, do: [{c: {set: {x: '${ $e.status.x }'}}}]}}"),
            "/do/0/a/catch/do/0/c/set/x: `$e.status` is a whole number",
        ),
        (
            steps("a: {set: {x: 1}, output: {schema: {document: {type: object, required: [y]}}}}"),
            "/do/0/a/output/schema: the output has no `y`, which is required",
        ),
        (
            steps("a: {input: {schema: {document: {properties: {age: {type: string}}}}}, set: {}}"),
            "/do/0/a/input/schema: `age` of the input is a whole number, where a text is expected",
        ),
        (
            steps("a: {set: {}, export: {as: .x, schema: {document: {type: object}}}}", head=""),
            "/do/0/a/export/as: `.` has no property `x`",
        ),
        (
            steps("a: {set: {}, export: {as: '1', schema: {document: {type: object}}}}", head=""),
            "/do/0/a/export/schema: what is exported is a whole number, where an object is expected",
        ),
        (
            steps("a: {set: {x: 1}}", head="output: {as: .x, schema: {document: {type: string}}}\n"),
            "/output/schema: the output is a whole number, where a text is expected",
        ),
        (
            steps("a: {set: {x: 1}, then: end}", head="output: {as: .y}\n"),
            "/output/as: `.` has no property `y`. It has x",
        ),
        (
            steps(
                "a: {call: f, with: {n: '${ .who }'}}",
                head=INPUT
                + (
                    "use: {functions: {f: {input: {schema: {document: {properties: {n: {type: integer}}}}}, "
                    "set: {}}}}\n"
                ),
            ),
            "/do/0/a/with/n: `f`: `n` is a text, where a whole number is expected",
        ),
        (
            steps(
                "a: {call: mail.read}",
                head=(
                    "use: {functions: {f: {input: {schema: {document: {type: object, properties: {n: {type: integer}}, "
                    "additionalProperties: false}}}, set: {x: '${ .m }'}}}}\n"
                ),
            ),
            "/use/functions/f/set/x: `.` has no property `m`. It has n",
        ),
        (
            steps(
                "a: {call: people.find, with: {id: x}, metadata: {compensate: {call: mail.send, "
                "with: {to: '${ .age }', size: 1}}}}"
            ),
            "/do/0/a/metadata/compensate/with/to: `mail.send`: `to` is a whole number",
        ),
        (
            steps("a: {run: {shell: {command: '${ .tags }'}}}"),
            "/do/0/a/run/shell/command: `process.shell`: `command` is an",
        ),
        (steps("a: {run: {shell: {cmd: ls}}}"), "/do/0/a/run/shell: `process.shell`: 'command' is a required property"),
        (
            steps("a: {raise: {error: {type: a:t, status: 400, detail: '${ .woh }'}}}"),
            "/do/0/a/raise/error/detail: `.` has",
        ),
        (
            steps("a: {listen: {to: {one: {with: {type: t}}}}}", "b: {set: {x: '${ .foo }'}}"),
            "/do/1/b/set/x: `.` is an array, which has no property `foo`",
        ),
        (
            steps("a: {listen: {to: {any: []}}, foreach: {do: [{b: {set: {}}}]}, output: {as: .foo}}"),
            "/do/0/a/output/as: `.` is an array",
        ),
        (
            steps("a: {wait: '${ 5 }'}"),
            "/do/0/a/wait: gives a whole number, and must give a duration. Such as",
        ),
        (steps("a: {wait: '${ .tags }'}"), "/do/0/a/wait: gives an array"),
        (
            steps("a: {emit: {event: {with: {source: s, type: t, data: '${ .woh }'}}}}"),
            "/do/0/a/emit/event/with/data: `.`",
        ),
        (
            steps("a: {run: {workflow: {namespace: n, name: w, input: '${ .woh }'}}}"),
            "/do/0/a/run/workflow/input: `.` has no property `woh`",
        ),
    ],
)
def test_what_cannot_go_well_is_one_fault(text: str, fault: str) -> None:
    found = said(text)
    assert any(fault in each for each in found), found


def test_an_argument_that_is_a_constant_is_held_against_the_whole_schema() -> None:
    assert said(steps("a: {call: mail.send, with: {to: x, size: 1.5}}"))[0].startswith("/do/0/a/with/size: `mail.send`")
    assert "Give it `size`" in said(steps("a: {call: mail.send, with: {to: x}}"))[0]


@pytest.mark.slow
def test_two_thousand_steps_are_checked_in_seconds() -> None:
    lines = [
        f"s{index}: {{call: mail.send, with: {{to: '${{ $context.w{index} }}', size: '${{ .a{index} + 1 }}'}}, "
        f"export: {{as: '$context + {{y{index}: .}}'}}}}"
        for index in range(2000)
    ]
    began = time.process_time()
    assert said(steps(*lines, head="")) == []
    assert time.process_time() - began < 6
