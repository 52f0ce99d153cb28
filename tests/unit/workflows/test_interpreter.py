"""The interpreter on documents in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from factotum.procedures.parse import parse
from factotum.workflows import problem
from factotum.workflows.contract import Decision
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.scope import Aborted
from tests.support.effects import InMemoryEffects

HEAD = "document: {dsl: '1.0.3', namespace: test, name: t, version: '1.0.0'}\n"


def interpreter(text: str, effects: InMemoryEffects, raw: Any = None) -> Interpreter:
    return Interpreter(parse(HEAD + text).document, effects, descriptor={"id": "r", "input": raw})


async def run(text: str, raw: Any = None, effects: InMemoryEffects | None = None) -> Any:
    return await interpreter(text, effects or InMemoryEffects(), raw).run(raw)


def fails(message: str, kind: str = "conflict") -> Any:
    def answer(_: object) -> Any:
        raise of_tool_error(kind, message)

    return answer


async def test_the_output_of_a_task_is_the_input_of_the_next() -> None:
    text = """
do:
  - first: {set: {a: '${ .x + 1 }'}}
  - second: {set: {b: '${ .a * 10 }', before: '${ $task.input.a }', at: '${ $task.reference }'}}
"""
    assert await run(text, {"x": 1}) == {"b": 20, "before": 2, "at": "/do/1/second"}


async def test_input_output_and_export_shape_the_data() -> None:
    text = """
input: {from: '.[0].data'}
output: {as: '{result: ., context: $context}'}
do:
  - keep: {set: '${ .person }', input: {from: .inner}, export: {as: '$context + {person: .}'}}
  - use: {set: {name: '${ $context.person.name }', raw: '${ $workflow.input[0].id }'}}
"""
    found = await run(text, [{"id": "e1", "data": {"inner": {"person": {"name": "Ada"}}}}])
    assert found["result"] == {"name": "Ada", "raw": "e1"}
    assert found["context"]["person"] == {"name": "Ada"}


async def test_if_passes_the_raw_input_on() -> None:
    text = "do:\n  - skipped: {if: .no, set: {a: 1}, output: {as: 'error(\"not run\")'}}\n"
    assert await run(text, {"no": False}) == {"no": False}


async def test_for_binds_the_item_and_its_index_and_hands_on_the_value() -> None:
    text = """
do:
  - loop:
      for: {each: color, in: .colors}
      while: $index < 2
      do:
        - mark: {set: '${ .seen += [$color + ($index | tostring)] }'}
"""
    assert await run(text, {"colors": ["r", "g", "b"]}) == {"colors": ["r", "g", "b"], "seen": ["r0", "g1"]}


@pytest.mark.parametrize(("color", "expected"), [("red", ["setRed"]), ("blue", ["setBlue", "last"]), ("x", ["last"])])
async def test_switch_and_then_lead_to_tasks_of_the_list(color: str, expected: list[str]) -> None:
    text = """
do:
  - choose:
      switch:
        - red: {when: '.color == "red"', then: setRed}
        - blue: {when: '.color == "blue"', then: setBlue}
        - other: {then: last}
  - setRed: {set: '${ .way += ["setRed"] }', then: end}
  - setBlue: {set: '${ .way += ["setBlue"] }'}
  - last: {set: '${ .way += ["last"] }', then: exit}
  - never: {set: {never: true}}
"""
    assert (await run(text, {"color": color}))["way"] == expected


async def test_end_ends_the_run_from_within() -> None:
    text = """
do:
  - outer:
      for: {in: '[1, 2, 3]'}
      do:
        - split: {fork: {branches: [{branch: {do: [{stop: {set: {done: '${ $item }'}, then: end}}]}}]}}
  - never: {set: {never: true}}
"""
    assert await run(text) == {"done": 1}


async def test_end_of_a_branch_ends_the_run() -> None:
    text = """
do:
  - split: {fork: {branches: [{a: {set: {from: a}, then: end}}, {b: {wait: PT1H}}]}}
  - never: {call: x.never}
"""
    effects = InMemoryEffects()
    assert await run(text, None, effects) == {"from": "a"}
    assert effects.steps == []


async def test_fork_gives_the_outputs_in_the_order_of_the_branches() -> None:
    gate = asyncio.Event()

    async def slow(_: object) -> str:
        await gate.wait()
        return "slow"

    def fast(_: object) -> str:
        gate.set()
        return "fast"

    text = "do:\n  - both: {fork: {branches: [{a: {call: x.slow}}, {b: {call: x.fast}}]}}\n"
    assert await run(text, None, InMemoryEffects(x__slow=slow, x__fast=fast)) == ["slow", "fast"]


async def test_the_first_branch_to_fail_ends_the_others_and_awaits_what_they_do() -> None:
    ended = []

    async def stubborn(_: object) -> str:
        # As an activity does: asked to end, it finishes what it has begun and gives its output.
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.append("asked")
        return "did it"

    effects = InMemoryEffects(x__stubborn=stubborn, x__bad=fails("no"))
    text = """
do:
  - both:
      fork:
        branches:
          - a: {do: [{one: {call: x.stubborn, metadata: {compensate: {call: x.undo}}}}, {two: {call: x.never}}]}
          - b: {call: x.bad}
"""
    made = interpreter(text, effects)
    with pytest.raises(Problem, match="no"):
        await made.run(None)
    assert ended == ["asked"]
    assert "x.never" not in [step.tool for step in effects.steps]
    assert [done.step.pointer for done in made.journal.backwards()] == ["/do/0/both/fork/branches/0/a/do/0/one"]


async def test_steps_are_told_apart_by_pointer_and_iteration() -> None:
    text = """
do:
  - people:
      for: {each: p, in: .people}
      do:
        - groups: {for: {each: g, in: '$p.groups'}, do: [{add: {call: x.add, with: {g: '${ $g }'}}}]}
"""
    effects = InMemoryEffects()
    await run(text, {"people": [{"groups": [1, 2]}, {"groups": [3]}]}, effects)
    pointer = "/do/0/people/do/0/groups/do/0/add"
    assert effects.called == [("x.add", pointer, "0.0"), ("x.add", pointer, "0.1"), ("x.add", pointer, "1.0")]
    assert [step.arguments for step in effects.steps] == [{"g": 1}, {"g": 2}, {"g": 3}]


async def test_a_task_reached_again_by_then_is_a_new_effect() -> None:
    text = """
do:
  - send: {call: x.send, output: {as: '{n: ($task.input.n + 1)}'}}
  - again: {switch: [{more: {when: .n < 3, then: send}}]}
"""
    effects = InMemoryEffects()
    assert await run(text, {"n": 0}, effects) == {"n": 3}
    assert [step.iteration for step in effects.steps] == ["", "r2", "r3"]


async def test_an_endless_loop_faults() -> None:
    with pytest.raises(Problem, match="endless loop"):
        await run("do:\n  - a: {set: {x: 1}}\n  - b: {set: {x: 2}, then: a}\n")


async def test_try_shows_the_error_to_its_handler_and_only_if_it_matches() -> None:
    text = """
do:
  - attempt:
      try: [{get: {call: x.get}}]
      catch:
        errors: {with: {status: 404}}
        as: err
        do: [{keep: {set: {error: '${ $err }'}}}]
"""
    found = await run(text, None, InMemoryEffects(x__get=fails("no such pet", "not_found")))
    assert found["error"] == {
        "type": problem.COMMUNICATION,
        "status": 404,
        "title": "not found",
        "detail": "no such pet",
        "instance": "/do/0/attempt/try/0/get",
    }
    with pytest.raises(Problem, match="taken"):
        await run(text, None, InMemoryEffects(x__get=fails("taken", "conflict")))


async def test_a_retry_keeps_the_step_and_waits_longer_each_time() -> None:
    text = """
do:
  - attempt:
      try: [{get: {call: x.get}}]
      catch:
        errors: {with: {status: 503}}
        retry: {delay: PT3S, backoff: {exponential: {}}, limit: {attempt: {count: 4}}}
"""
    answers = iter([fails("1", "unavailable"), fails("2", "unavailable"), lambda _: {"ok": True}])
    effects = InMemoryEffects(x__get=lambda step: next(answers)(step))
    assert await run(text, None, effects) == {"ok": True}
    assert effects.slept == [3, 6]
    assert len(set(effects.called)) == 1
    assert not any(step.patient for step in effects.steps)


async def test_journal_has_finished_steps_in_reverse_each_once() -> None:
    text = """
do:
  - a: {call: x.a, metadata: {compensate: {call: x.undo_a, with: {id: '${ .id }', given: '${ $input.n }'}}}}
  - t:
      try:
        - b: {call: x.b, metadata: {compensate: {call: x.undo_b}}}
        - c: {call: x.c}
      catch: {retry: {limit: {attempt: {count: 2}}}, errors: {with: {status: 503}}, do: [{up: {set: {}}}]}
"""
    effects = InMemoryEffects(x__a=lambda _: {"id": 7}, x__c=fails("away", "unavailable"))
    made = interpreter(text, effects)
    await made.run({"n": 1})
    assert [done.step.pointer for done in made.journal.backwards()] == ["/do/1/t/try/0/b", "/do/0/a"]
    effects.steps.clear()
    for done in made.journal.backwards():
        await made.undo(done)
    assert [(step.tool, step.arguments, step.compensation) for step in effects.steps] == [
        ("x.undo_b", {}, True),
        ("x.undo_a", {"id": 7, "given": 1}, True),
    ]


async def test_after_abort_no_step_begins() -> None:
    effects = InMemoryEffects()
    made = interpreter("do:\n  - a: {call: x.a}\n", effects)
    made.abort()
    with pytest.raises(Aborted):
        await made.run(None)
    assert effects.steps == []


@pytest.mark.parametrize(
    ("text", "type_", "instance"),
    [
        ("do:\n  - a: {set: {x: '${ .a.b }'}}\n", problem.EXPRESSION, "/do/0/a/set"),
        ("do:\n  - a: {set: {x: 1}, output: {as: .x.y}}\n", problem.EXPRESSION, "/do/0/a/output/as"),
        ("do:\n  - a: {for: {in: .a}, do: [{b: {set: {}}}]}\n", problem.EXPRESSION, "/do/0/a/for/in"),
        (
            "input: {schema: {document: {required: [name]}}}\ndo:\n  - a: {set: {}}\n",
            problem.VALIDATION,
            "/input/schema",
        ),
        ("do:\n  - a: {raise: {error: {type: 'https://x/y', status: 418}}}\n", "https://x/y", "/do/0/a"),
    ],
)
async def test_problems_say_what_and_where(text: str, type_: str, instance: str) -> None:
    with pytest.raises(Problem) as caught:
        await run(text, {"a": "text"})
    assert (caught.value.type, caught.value.instance) == (type_, instance)


async def test_wait_is_a_sleep() -> None:
    effects = InMemoryEffects()
    assert await run("do:\n  - a: {wait: {minutes: 1, seconds: 30}}\n", {"kept": 1}, effects) == {"kept": 1}
    assert effects.slept == [90]


async def test_who_decides_may_come_from_the_data() -> None:
    text = "do:\n  - a: {call: x.y, metadata: {approval: {by: ['${ .manager }', 'group:it']}}}\n"
    machine = interpreter(text, InMemoryEffects(x__y=lambda _: {"done": True}), {"manager": "grace"})
    work = asyncio.ensure_future(machine.run({"manager": "grace"}))
    while not machine.approvals.pending:
        await asyncio.sleep(0)
    (asked,) = machine.approvals.pending
    assert asked.by == ["grace", "group:it"]
    assert machine.decide(Decision(step="/do/0/a", call_sha256=asked.call_sha256, approve=True, by="grace"))
    assert await work == {"done": True}
