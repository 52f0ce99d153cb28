"""Documents in the simulator: time, faults, people, events, nested runs, and how a run is undone."""

from __future__ import annotations

import time
from typing import Any

import pytest

from factotum.procedures.parse import parse
from factotum.simulation import effects as simulated_effects
from factotum.simulation.answers import Observation, injected
from factotum.simulation.people import People
from factotum.simulation.report import done, what
from factotum.simulation.simulation import Arrival
from factotum.workflows import effects as temporal_effects
from tests.support.simulated import HEAD, marks, simulated


def test_waits_end_in_the_order_of_their_deadlines_and_take_no_time() -> None:
    text = """
do:
  - split:
      fork:
        branches:
          - slow: {do: [{a: {wait: P30D}}, {b: {call: x.do}}]}
          - quick: {do: [{a: {wait: PT1M}}, {b: {wait: PT1M}}, {c: {call: x.other}}]}
          - middle: {do: [{a: {wait: PT2H}}, {b: {call: x.undo}}]}
"""
    began = time.monotonic()
    found = simulated(text)
    assert time.monotonic() - began < 10
    assert (found.status, found.duration) == ("completed", 30 * 86_400)
    assert [(each.tool, each.at) for each in found.record.effects] == [
        ("x.other", 120.0),
        ("x.undo", 7200.0),
        ("x.do", 30 * 86_400.0),
    ]


def test_the_same_seed_goes_the_same_way() -> None:
    text = """
do:
  - first: {call: x.list}
  - again:
      try: [{call: {call: x.do, with: {given: '${ . }'}}}]
      catch: {retry: {delay: PT1S, jitter: {from: PT0S, to: PT1M}, limit: {attempt: {count: 3}}}, do: [{x: {set: {}}}]}
"""
    one, same, other = (
        simulated(text, fail=("/do/1/again=unavailable",), seed=seed, style="mixed") for seed in (1, 1, 2)
    )
    assert [each.as_json() for each in one.record.effects] == [each.as_json() for each in same.record.effects]
    assert one.duration == same.duration != other.duration


UNDONE = """
do:
  - one: {call: x.do, with: {n: 1}, metadata: {compensate: {call: x.undo, with: {of: '${ .id }'}}}}
  - two: {call: x.other, metadata: {compensate: {call: x.undo}}}
  - three: {call: x.do}
"""


def test_what_was_done_is_undone_in_reverse() -> None:
    found = simulated(UNDONE, fail=("/do/2/three=not_permitted:401",))
    assert found.status == "failed" and found.error is not None and found.ending is not None
    assert (found.error["status"], found.error["instance"]) == (401, "/do/2/three")
    assert found.ending.compensated == ["/do/1/two", "/do/0/one"]
    undoing = [each for each in found.record.effects if each.compensation]
    assert [(each.step, each.tool, each.arguments) for each in undoing] == [
        ("/do/1/two", "x.undo", {}),
        ("/do/0/one", "x.undo", {"of": "id-1"}),
    ]


def test_what_cannot_be_undone_is_left_to_a_person() -> None:
    found = simulated(UNDONE, fail=("/do/2/three", "/do/1/two/metadata/compensate=failed"))
    assert found.ending is not None
    assert found.ending.compensated == ["/do/0/one"]
    assert [(task.kind, task.step, task.tool, task.idempotency_key) for task in found.ending.tasks] == [
        ("undo", "/do/1/two", "x.undo", "simulation:/do/1/two::undo")
    ]


def test_a_compensation_is_tried_for_a_day() -> None:
    found = simulated(UNDONE, fail=("/do/2/three", "/do/1/two/metadata/compensate=unavailable"))
    assert found.ending is not None and [task.step for task in found.ending.tasks] == ["/do/1/two"]
    assert found.duration == pytest.approx(simulated_effects.COMPENSATION_SECONDS)


def test_a_call_that_may_have_happened_is_asked_about() -> None:
    found = simulated(UNDONE, fail=("/do/1/two=failed",))
    assert [mark.details["step"] for mark in marks(found.record, "settled")] == ["/do/1/two"]
    assert found.ending is not None and (found.ending.compensated, found.ending.tasks) == (["/do/0/one"], [])


def test_a_try_sees_what_a_retry_could_mend_and_tries_again() -> None:
    text = """
do:
  - guarded:
      try: [{call: {call: x.do}}]
      catch: {retry: {delay: PT10S, backoff: {exponential: {}}, limit: {attempt: {count: 5}}}, do: [{x: {set: {a: 1}}}]}
"""
    step = "/do/0/guarded/try/0/call"
    found = simulated(text, fail=(f"{step}@1=unavailable", f"{step}@2=rate_limited:429"))
    assert (found.status, found.output, found.duration) == ("completed", {"id": "id-1"}, 30.0)
    assert len(marks(found.record, "retry")) == 2
    tries = [node for node in found.record.root.everything if node.pointer == step]
    assert [node.state for node in tries] == ["faulted", "faulted", "completed"]
    caught = simulated(text, fail=("/do/0/guarded",))
    assert caught.output == {"a": 1}
    assert [mark.details["status"] for mark in marks(caught.record, "caught")] == [409]


def test_outside_of_a_try_a_call_is_tried_until_it_is_answered() -> None:
    found = simulated("do: [{a: {call: x.do}}]", fail=("/do/0/a@1=unavailable", "/do/0/a@2=unavailable"))
    assert (found.status, found.duration) == ("completed", pytest.approx(0.6))
    stuck = simulated("do: [{a: {call: x.do}}]", fail=("/do/0/a=unavailable",))
    assert stuck.status == "waiting"
    assert [(node.pointer, reason) for node, reason in stuck.waits] == [
        ("/do/0/a", "x.do is tried again until it is no longer answered with unavailable")
    ]
    limited = simulated("do: [{a: {call: x.do, timeout: {after: PT5M}}}]", fail=("/do/0/a=unavailable",))
    assert limited.error is not None
    assert (limited.error["status"], limited.duration) == (408, 300.0)


def test_an_ambiguous_effect_waits_for_a_person_also_in_a_try() -> None:
    text = "do: [{a: {try: [{b: {call: x.do}}], catch: {do: [{c: {set: {a: 1}}}]}}}]"
    found = simulated(text, fail=("/do/0/a=ambiguous",))
    assert [reason for _, reason in found.waits] == [
        "x.do is tried again until a person says whether the effect happened"
    ]


def test_the_rules_of_trying_again_are_those_of_the_real_run() -> None:
    assert simulated_effects.SHOWN_TO_TRY == temporal_effects.SHOWN_TO_TRY
    assert simulated_effects.MAX_DEPTH == temporal_effects.MAX_DEPTH


APPROVED = """
do:
  - pay:
      call: x.do
      with: {n: 1}
      metadata:
        approval:
          {by: [eve, 'group:finance'], count: 2, within: PT2H, otherwise: {by: [boss], count: 1, within: PT1H}}
"""


def test_people_agree_unless_it_is_said_otherwise() -> None:
    found = simulated(APPROVED)
    assert found.status == "completed"
    assert [mark.details["by"] for mark in marks(found.record, "decided")] == ["eve", "finance-2"]
    refused = simulated(APPROVED, people=People(refuse=["/do/0/pay"]))
    assert refused.error is not None and (refused.error["status"], refused.duration) == (403, 0.0)
    nobody = simulated(APPROVED, people=People(ignore=["/do/0/pay"]))
    assert nobody.error is not None and (nobody.error["title"], nobody.duration) == ("not approved", 3 * 3600.0)
    assert [mark.details["by"] for mark in marks(nobody.record, "asked")] == [["eve", "group:finance"], ["boss"]]


LISTEN = """
do:
  - hear: {listen: {to: {any: [{with: {type: t.a}}, {with: {type: t.b}}], until: 'length == 2'}}}
"""


def test_events_come_when_they_are_said_to() -> None:
    events = [Arrival(after, {"source": "/x", "id": str(after), "type": kind, "data": {"n": after}}) for after, kind in
              ((0.0, "t.a"), (60.0, "t.c"), (3600.0, "t.b"))]  # fmt: skip
    found = simulated(LISTEN, events=events)
    assert (found.status, found.output, found.duration) == ("completed", [{"n": 0.0}, {"n": 3600.0}], 3600.0)
    stuck = simulated(LISTEN, events=events[:1])
    assert stuck.status == "waiting"
    assert [reason for _, reason in stuck.waits] == ["waits for an event that does not come"]


def test_a_subscription_without_end_is_given_up() -> None:
    text = "do: [{a: {set: {n: 1}, then: b}}, {b: {call: x.do, then: a}}]"
    assert simulated(text, most_calls=20).status == "too long"


NESTED = parse(
    HEAD.replace("name: t", "name: inner")
    + "do: [{one: {call: x.do, metadata: {compensate: {call: x.undo}}}}, {two: {wait: PT1H}}, {three: {call: x.get}}]"
).raw


def nested(**more: Any) -> Any:
    text = "do: [{sub: {run: {workflow: {namespace: test, name: inner}}}}, {last: {call: x.other}}]"
    return simulated(text, documents={"test/inner:latest": NESTED}, **more)


def test_a_nested_run_is_simulated_too_and_undone_with_the_one_around() -> None:
    found = nested()
    assert (found.status, found.duration) == ("completed", 3600.0)
    (sub,) = [node for node in found.record.root.nodes if node.name == "sub"]
    assert [node.name for node in sub.nodes] == ["one", "two", "three"]
    assert sorted(found.coverage) == ["test/inner", "test/t"]
    later = nested(fail=("/do/1/last",))
    assert later.ending is not None and later.ending.compensated == ["/do/0/one"]
    within = nested(fail=("/do/2/three=not_found",))
    assert within.error is not None and (within.error["status"], within.error["instance"]) == (404, "/do/0/sub")
    assert [each.tool for each in within.record.effects if each.compensation] == ["x.undo"]


def test_functions_stand_in_the_tree_below_their_callers_and_fail_with_them() -> None:
    text = """
use: {functions: {twice: {do: [{one: {call: x.do}}, {two: {call: x.other}}]}}}
do:
  - first: {call: twice}
  - second: {call: twice}
"""
    found = simulated(text, fail=("/do/1/second=not_found",))
    first, second = found.record.root.nodes
    assert [node.pointer for node in first.everything] == [
        "/do/0/first",
        "/use/functions/twice",
        "/use/functions/twice/do/0/one",
        "/use/functions/twice/do/1/two",
    ]
    assert [each.error is None for each in found.record.effects] == [True, True, False]
    assert [node.state for node in second.everything] == ["faulted"] * 3


def test_observations_come_before_examples_those_of_a_step_first() -> None:
    text = "do: [{a: {call: x.get}}, {b: {call: x.get}}, {c: {call: x.get}}, {d: {call: x.get}}]"
    observed = [
        Observation.model_validate(each)
        for each in (
            {"tool": "x.get", "output": {"id": "any"}, "takes": "PT1M"},
            {"tool": "x.get", "output": {"id": "last"}},
            {"tool": "x.get", "step": "/do/1/b", "output": {"id": "b"}},
        )
    ]
    found = simulated(text, observations=observed)
    assert [mark.details["output"]["id"] for mark in marks(found.record, "call")] == ["any", "b", "last", "last"]
    assert found.duration == 60.0


def test_arguments_are_held_against_the_tools_schema_and_come_back_where_they_fit() -> None:
    found = simulated("do: [{a: {call: x.strict, with: {n: text}}}]")
    assert found.error is not None and found.error["status"] == 400
    assert "/n" in found.error["detail"]
    assert simulated("do: [{a: {call: x.do, with: {id: mine}}}]").output == {"id": "mine"}


def test_events_and_writes_are_effects_and_reads_are_none() -> None:
    text = "do: [{a: {call: x.get}}, {b: {call: x.do}}, {c: {emit: {event: {with: {source: /x, type: t.done}}}}}]"
    assert [what(each) for each in done(simulated(text))] == ["x.do", "emit t.done"]


def test_a_costly_expression_is_evaluated_for_real() -> None:
    text = """do: [{a: {set: {n: '${ ("ab" * ([12, .a // 1] | first) | length) / 2 }'}}}]"""
    found = simulated(text, {"a": 1})
    assert (found.output, found.duration) == ({"n": 12}, 0.0)
    assert simulated(text, {"a": 1}, costly=False).status == "too long"


@pytest.mark.parametrize("text", ["", "do/0/a", "/do/0/a=", "/do/0/a=nonsense", "/do/0/a@0", "/do/0/a=failed:4"])
def test_a_fault_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no kind of error|is not POINTER"):
        injected(text)
