"""What an event is remembered as."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.api.memory.v1.memory_pb2 import KIND_EPISODE, KIND_OBSERVATION, KIND_THOUGHT, TRUST_SYSTEM
from factotum.events.types import ObservedError, PlannedStep, StepTaken
from factotum.memory.errors import NotAMemory
from factotum.memory.ingest import choices, memory_of
from factotum.memory.records import MAX_TEXT_BYTES, completed
from factotum.memory.telling import CUT_MARK, cut
from tests.support.memory import EMPLOYEE, ENDED, observation, outcome

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def test_an_outcome_tells_the_story_of_its_run() -> None:
    record = memory_of(outcome())
    assert record.kind == KIND_EPISODE
    assert record.run_id == "acme.employee-onboarding.ab12"
    assert record.origin == "acme.employee-onboarding.ab12:outcome"
    assert record.created_at.ToDatetime(tzinfo=ENDED.tzinfo) == ENDED
    assert record.text == (
        "Employee onboarding of Ada Lovelace completed on 2026-11-24 09:30 UTC (event com.bamboohr.employee.created)."
        " Given: employee id 123, employee first name Ada, employee last name Lovelace,"
        " employee work email ada.lovelace@acme.example, employee department Engineering, action Created."
    )
    attributes = json.loads(record.attributes_json)
    assert attributes["procedure"] == "employee-onboarding"
    assert attributes["status"] == "completed"


def test_a_failed_run_says_why_and_what_was_undone() -> None:
    record = memory_of(
        outcome(status="failed", failure="409: the name is taken.", compensated=["/do/3/addGroup", "createAccount"])
    )
    assert "failed on" in record.text
    assert "Reason: 409: the name is taken." in record.text
    assert "Undone: add group, create account." in record.text


def test_an_episode_tells_goal_plan_what_happened_and_the_lesson() -> None:
    plan = [PlannedStep(step="/do/0/createAccount", tool="identity.create_user", summary="an account for Ada")]
    steps = [
        StepTaken(step="/do/0/createAccount", kind="call", status="completed", rounds=1, attempts=3, seconds=40.1),
        StepTaken(step="/do/1/sendMail", kind="call", status="failed", rounds=2, failed=1, error="not found"),
    ]
    told = outcome(goal="Welcome a new colleague", plan=plan, steps=steps, lesson="It took three tries.")
    record = memory_of(told)
    for sentence in (
        "Goal: Welcome a new colleague.",
        "Lesson: It took three tries.",
        "Plan: create account (identity.create_user).",
        "What happened: create account completed (3 tries), send mail failed (2 rounds, not found).",
    ):
        assert sentence in record.text
    attributes = json.loads(record.attributes_json)
    assert attributes["goal"] == "Welcome a new colleague" and attributes["lesson"] == "It took three tries"
    assert attributes["plan"] == [plan[0].model_dump()]
    assert attributes["steps"][0] == {
        "step": "/do/0/createAccount",
        "kind": "call",
        "status": "completed",
        "rounds": 1,
        "attempts": 3,
        "seconds": 40.1,
    }
    assert "steps_left_out" not in attributes


def test_an_outcome_told_before_there_were_plans_is_read() -> None:
    event = outcome()
    known = {"goal", "plan", "steps", "steps_left_out", "lesson"}
    event = event.model_copy(update={"data": {name: v for name, v in event.data.items() if name not in known}})
    assert memory_of(event).text == memory_of(outcome()).text
    assert not known & json.loads(memory_of(event).attributes_json).keys()


def test_a_long_run_fits_into_an_episode() -> None:
    wide = "\N{GRINNING FACE}" * 200
    steps = [
        StepTaken(step=f"/do/{i}/{wide}", kind="call", status="failed", error=wide, failure=wide, at=wide, branch=wide)
        for i in range(50)
    ]
    plan = [PlannedStep(step=f"/do/{i}/{wide}", tool=wide, summary=wide) for i in range(50)]
    told = outcome(goal=wide, lesson=wide * 10, failure=wide * 100, status="failed", plan=plan, steps=steps)
    record = memory_of(told)
    attributes = json.loads(record.attributes_json)
    assert len(attributes["steps"]) + attributes["steps_left_out"] == 50
    assert len(attributes["plan"]) + attributes["plan_left_out"] == 50
    assert attributes["steps"] and attributes["plan"] and attributes["lesson"]


def test_the_name_is_found_in_the_output_where_the_input_has_none() -> None:
    record = memory_of(outcome(input=None, output={"account": {"displayName": "Grace Hopper"}}))
    assert record.text.startswith("Employee onboarding of Grace Hopper completed")


def test_an_observation_tells_the_call_and_its_answer() -> None:
    record = memory_of(observation("o1"))
    assert record.kind == KIND_OBSERVATION
    assert record.origin == "o1"
    assert record.text == (
        "identity.create_user with user name ada.lovelace. Answered: id 99. A step of employee onboarding."
    )


def test_a_failed_call_tells_its_error() -> None:
    record = memory_of(observation("o1", error=ObservedError(kind="conflict", message="taken", retryable=False)))
    assert "Failed (conflict): taken." in record.text
    assert "Answered" not in record.text


def test_a_note_of_the_planner_is_a_thought_as_it_is() -> None:
    record = memory_of(observation("o1", tool="", run_id="", procedure="", note="No procedure matches the event 7."))
    assert record.text == "No procedure matches the event 7."
    assert (record.kind, record.trust, record.run_id) == (KIND_THOUGHT, TRUST_SYSTEM, "")
    # A person's note on a call goes with the call.
    assert memory_of(observation("o1", note="A person decided that the effect happened.")).kind == KIND_OBSERVATION


def test_it_says_where_it_comes_from_and_whom_it_is_about() -> None:
    record = memory_of(observation("o1", arguments={"userName": "Ada", "to": "ada@acme.example"}))
    assert (record.origin, record.run_id, record.provenance.step) == (
        "o1",
        "acme.employee-onboarding.ab12",
        "/do/1/createAccount",
    )
    assert list(record.subjects) == ["ada", "ada@acme.example"]
    assert list(memory_of(outcome()).subjects) == ["123", "ada.lovelace@acme.example"]


def test_an_outcome_of_events_is_about_what_they_say() -> None:
    envelope = {"specversion": "1.0", "id": "e1", "source": "/x", "type": "t", "userName": "x", "data": EMPLOYEE}
    assert list(memory_of(outcome(input=[envelope])).subjects) == ["ada.lovelace@acme.example"]
    failed = memory_of(outcome(input=None, status="failed", failure="no mailbox for bob@acme.example."))
    assert list(failed.subjects) == ["bob@acme.example"]


def test_failures_and_effects_weigh_more_than_reads() -> None:
    task = {"kind": "undo", "step": "/do/0/x", "tool": "t", "idempotency_key": "k", "error": "e"}
    failure = ObservedError(kind="conflict", message="taken", retryable=False)
    weights = [
        memory_of(event).importance
        for event in (
            observation("o", effect="none"),
            observation("o", effect="create"),
            observation("o", error=failure),
            outcome(),
            outcome(status="failed"),
            outcome(status="failed", tasks=[task]),
        )
    ]
    assert weights == sorted(weights) and len(set(weights)) == len(weights)


def test_it_is_complete_and_expires_as_its_kind_does() -> None:
    for event in (observation("o"), outcome()):
        record = memory_of(event)
        assert completed("acme", record, ENDED + timedelta(days=9)) == record
    assert memory_of(observation("o")).expires_at.ToDatetime(tzinfo=UTC) == ENDED + timedelta(days=30)


@pytest.mark.parametrize("name", ["password", "apiKey", "api-key", "accessToken", "passphrase", "Authorization"])
def test_secrets_are_not_told(name: str) -> None:
    record = memory_of(outcome(input={name: "hunter2", "deep": [{name: {"value": "hunter2"}}], "city": "London"}))
    assert "hunter2" not in record.text + record.attributes_json
    assert "city London" in record.text


def test_ids_follow_the_event_and_a_run_has_one_episode() -> None:
    assert memory_of(observation("o1")).id == memory_of(observation("o1")).id
    assert memory_of(observation("o1")).id != memory_of(observation("o2")).id
    assert memory_of(outcome("r1")).id == memory_of(outcome("r1", status="failed")).id
    assert memory_of(outcome("r1")).id != memory_of(outcome("r2")).id
    assert memory_of(outcome("r1")).id != memory_of(outcome("r1", tenant="globex")).id


def test_a_long_text_is_cut_between_characters_and_marked() -> None:
    text = cut("é" * 5000)
    assert len(text.encode()) <= MAX_TEXT_BYTES
    assert text.endswith(CUT_MARK)
    assert set(text.removesuffix(CUT_MARK)) == {"é"}
    record = memory_of(observation("o1", note="x" * 20_000))
    assert record.text.endswith(CUT_MARK)
    assert json.loads(record.attributes_json)["cut"] is True
    assert cut("x" * MAX_TEXT_BYTES) == "x" * MAX_TEXT_BYTES


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "other"}, "not remembered"),
        ({"data": None}, "data"),
        ({"data": {"run_id": "r"}}, "procedure"),
    ],
)
def test_what_is_not_a_memory_is_refused_with_the_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotAMemory, match=reason):
        memory_of(outcome().model_copy(update=change))


def test_a_run_id_that_could_hold_a_filter_and_a_time_without_offset_are_refused() -> None:
    with pytest.raises(NotAMemory, match="run_id"):
        memory_of(outcome('r" or tenant != "'))
    with pytest.raises(NotAMemory, match="offset"):
        memory_of(outcome(ended_at=datetime(2026, 1, 1)))


@given(value=JSON)
def test_any_data_makes_a_record_that_can_be_memory_of(value: Any) -> None:
    for record in (memory_of(outcome(input=value, output=value)), memory_of(observation("o", output=value))):
        assert record.text.strip()
        assert len(record.text.encode()) <= MAX_TEXT_BYTES


def test_short_arguments_are_kept_as_what_somebody_may_always_choose() -> None:
    arguments = {
        "zone": "Europe/Berlin",
        "hour": 9,
        "invite": True,
        "body": "x" * 65,
        "attendees": ["a", "b"],
        "where": {"room": "1"},
        "empty": "",
        "password": "hunter2",
        "none": None,
    }
    assert choices(arguments) == {"zone": "Europe/Berlin", "hour": "9", "invite": "True"}
    assert len(choices({f"a{n}": n for n in range(30)})) == 20
    assert choices({"n" * 64: 1, "n" * 65: 2, "": 3}) == {"n" * 64: "1"}
    kept = memory_of(observation("e1", arguments=arguments))
    assert json.loads(kept.attributes_json)["arguments"] == choices(arguments)
