"""What is not waited for, nested runs and functions: asked about, ended and undone as any other step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from factotum.procedures.parse import parse
from factotum.workflows.contract import Decision
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.world import Child, ChildResult
from tests.support.effects import InMemoryEffects

HEAD = "document: {dsl: '1.0.3', namespace: test, name: t, version: '1.0.0'}\n"
CHILD = {
    "document": {"dsl": "1.0.3", "namespace": "test", "name": "child", "version": "1.0.0"},
    "do": [{"a": {"set": {"x": 1}}}],
}
APPROVAL = "metadata: {approval: {by: [boss]}}"


def machine(text: str, effects: InMemoryEffects) -> Interpreter:
    documents = {"test/child:1.0.0": CHILD}
    source = parse(HEAD + text)
    return Interpreter(source.document, effects, descriptor={"id": "r"}, raw=source.raw, documents=documents)


@pytest.mark.parametrize(
    "text",
    [
        f"do:\n  - n: {{run: {{workflow: {{namespace: test, name: child, version: '1.0.0'}}}}, {APPROVAL}}}\n",
        f"do:\n  - n: {{run: {{shell: {{command: echo}}, await: false}}, {APPROVAL}}}\n",
        f"use: {{functions: {{f: {{call: hr.bar}}}}}}\ndo:\n  - n: {{call: f, {APPROVAL}}}\n",
    ],
)
async def test_a_person_is_asked_whatever_it_is_that_acts(text: str) -> None:
    effects = InMemoryEffects()

    async def child(_: Child) -> ChildResult:
        return ChildResult("r.child", {"ok": 1}, [])

    effects.child = child
    run = machine(text, effects)
    work = asyncio.ensure_future(run.run({}))
    for _ in range(20):
        await asyncio.sleep(0)
    assert (effects.steps, effects.children) == ([], [])
    (asked,) = run.approvals.pending
    assert run.decide(Decision(step="/do/0/n", call_sha256=asked.call_sha256, approve=True, by="boss"))
    await work
    assert len(effects.steps) + len(effects.children) == 1


async def test_what_nobody_waits_for_is_ended_when_the_run_fails_and_can_be_undone() -> None:
    never = asyncio.get_running_loop().create_future()
    text = """
do:
  - behind:
      run: {shell: {command: sleep}, await: false}
      metadata: {compensate: {call: x.undo}}
  - pause: {wait: {milliseconds: 1}}
  - no: {raise: {error: {type: 'https://example.com/no', status: 409}}}
"""
    run = machine(text, InMemoryEffects(process__shell=lambda _: never))
    with pytest.raises(Problem):
        await asyncio.wait_for(run.run({}), 5)
    assert never.cancelled()
    (doubt,) = run.journal.doubts()
    assert doubt.undo == {"call": "x.undo", "with": {}}


async def test_the_time_of_a_document_counts_for_what_nobody_waits_for_too() -> None:
    never = asyncio.get_running_loop().create_future()
    text = "timeout: {after: {milliseconds: 5}}\ndo:\n  - behind: {run: {shell: {command: x}, await: false}}\n"
    with pytest.raises(Problem, match="timeout"):
        await asyncio.wait_for(machine(text, InMemoryEffects(process__shell=lambda _: never)).run({}), 5)


async def test_a_nested_run_that_failed_is_another_run_the_next_time_and_one_that_did_not_is_not_run_again() -> None:
    attempts: list[int] = []

    async def child(asked: Child) -> ChildResult:
        attempts.append(asked.attempt)
        if len(attempts) == 1:
            raise of_tool_error("failed", "the first one")
        return ChildResult(f"r.{asked.attempt}", {"ok": asked.attempt}, [])

    tries = {"n": 0}

    def flaky(_: Any) -> dict[str, int]:
        tries["n"] += 1
        if tries["n"] < 2:
            raise of_tool_error("unavailable", "not now")
        return {"n": tries["n"]}

    effects = InMemoryEffects(x__flaky=flaky)
    effects.child = child
    text = """
do:
  - t:
      try:
        - nested: {run: {workflow: {namespace: test, name: child, version: '1.0.0'}}}
        - then: {call: x.flaky}
      catch: {retry: {limit: {attempt: {count: 5}}}}
"""
    await machine(text, effects).run({})
    assert attempts == [0, 1]


async def test_a_task_may_give_what_describes_it() -> None:
    found = await machine("do:\n  - s: {set: {d: '${ $task }'}}\n", InMemoryEffects()).run({})
    assert found["d"]["name"] == "s"
    assert "output" not in found["d"]


async def test_a_move_waits_no_longer_than_for_a_while_for_what_waits_for_what_it_holds_back() -> None:
    heard = asyncio.Event()
    effects = InMemoryEffects(x__one=lambda _: {}, x__two=lambda _: heard.set() or {})

    async def child(_: Child) -> ChildResult:
        effects.move = True
        await heard.wait()
        return ChildResult("r.child", {}, [])

    effects.child = child
    text = """
do:
  - both:
      fork:
        branches:
          - a: {run: {workflow: {namespace: test, name: child, version: '1.0.0'}}}
          - b: {do: [{one: {wait: {milliseconds: 1}}}, {two: {call: x.two}}]}
"""
    await asyncio.wait_for(machine(text, effects).run({}), 5)


async def test_a_loop_that_waits_may_come_round_as_often_as_it_likes() -> None:
    text = """
do:
  - count: {set: '${ {n: (.n + 1)} }'}
  - again: {switch: [{more: {when: '.n < 1200', then: pause}}, {enough: {then: end}}]}
  - pause: {call: x.look, output: {as: '$input'}, then: count}
"""
    assert await machine(text, InMemoryEffects()).run({"n": 0}) == {"n": 1200}
