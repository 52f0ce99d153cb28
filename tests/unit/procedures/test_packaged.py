"""The packaged procedures against the checker, the connectors' schemas and the interpreter, without any server."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from factotum.procedures.check import check
from factotum.procedures.parse import Source, parse
from factotum.procedures.tasks import CallTask, walk
from factotum.sdk.spec import Effect, ToolSpec
from factotum.workflows.interpreter import Interpreter
from factotum.workflows.problem import Problem, of_tool_error
from factotum.workflows.step import Step
from tests.support.effects import InMemoryEffects

FOLDER = Path(__file__).parents[3] / "procedures"
CATALOG: Mapping[str, ToolSpec] = {
    name: tool.spec
    for module in ("hr", "identity", "mail", "calendar")
    for name, tool in import_module(f"factotum.connectors.{module}").connector.tools.items()
}
EMPLOYEE = {
    "id": "123",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "displayName": None,
    "workEmail": "ada@acme.example",
    "department": "Engineering",
    "hireDate": "2026-11-27",
    "timezone": "Europe/Berlin",
    "status": "Active",
    "onboardingStatus": None,
}
ACCOUNT = {"id": "u1", "userName": "ada@acme.example", "externalId": "123", "displayName": None, "active": True}
OUTPUT = {"employee": "123", "displayName": "Ada Lovelace", "account": "u1", "userName": "ada@acme.example"}
TRAINING = {
    "summary": "Security",
    "description": None,
    "start": "2026-12-01T14:00:00",
    "durationMinutes": 60,
    "timeZone": "Europe/Berlin",
    "attendees": ["ada@acme.example"],
    "location": None,
}
SHARED = TRAINING | {"attendees": ["ada@acme.example", "eve@acme.example"]}
EVENT = [
    {
        "specversion": "1.0",
        "id": "e1",
        "time": "2026-11-30T09:00:00Z",
        "data": {"employee": {"id": "123"}, "action": "Created"},
    }
]


def source(name: str) -> Source:
    return parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))


def answered(step: Step) -> Any:
    """What each tool answers, after its arguments have been held against its schema."""
    Draft202012Validator(CATALOG[step.tool].input_schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(
        step.arguments
    )
    answers: dict[str, Any] = {
        "hr.get_employee": EMPLOYEE,
        "hr.update_employee": step.arguments,
        "identity.create_user": ACCOUNT,
        "identity.find_user": ACCOUNT | {"groups": ["engineering", "everyone"]},
        "identity.add_to_group": step.arguments,
        "identity.remove_from_group": step.arguments,
        "identity.deactivate_user": {"id": "u1", "active": False},
        "identity.activate_user": {"id": "u1", "active": True},
        "mail.send": {"messageId": "<m@acme.example>"},
        "calendar.working_days": {"days": ["2026-11-27", "2026-11-30", "2026-12-01"]},
        "calendar.schedule": {"uid": f"uid-{step.iteration}", "href": "http://x"},
        "calendar.cancel": step.arguments,
        "calendar.find": {"events": [{"uid": "t1", **TRAINING}, {"uid": "t2", **SHARED}]},
    }
    return answers[step.tool]


async def carry_out(
    name: str, event: list[dict[str, Any]] = EVENT, **overrides: Any
) -> tuple[Interpreter, InMemoryEffects, Any]:
    effects = InMemoryEffects(**{tool.replace(".", "__"): answered for tool in CATALOG} | overrides)
    interpreter = Interpreter(source(name).document, effects, descriptor={"id": "r", "input": event})
    try:
        return interpreter, effects, await interpreter.run(event)
    except Problem as problem:
        return interpreter, effects, problem


@pytest.mark.parametrize("name", ["employee-onboarding", "employee-offboarding"])
def test_has_no_fault(name: str) -> None:
    assert check(source(name), CATALOG) == []


@pytest.mark.parametrize("name", ["employee-onboarding", "employee-offboarding"])
def test_every_write_names_its_compensation_and_every_call_its_summary(name: str) -> None:
    calls = [(pointer, named.task) for pointer, named in walk(source(name).document.do)]
    for pointer, task in calls:
        if isinstance(task, CallTask):
            writes = CATALOG[task.call].effect is not Effect.NONE
            assert (task.compensate is not None) is writes, pointer
            assert task.metadata.get("summary"), pointer


async def test_onboards() -> None:
    _, effects, output = await carry_out("employee-onboarding")
    assert output == OUTPUT
    calls = {tool: [step.arguments for step in effects.steps if step.tool == tool] for tool in CATALOG}
    assert [step.tool for step in effects.steps[:2]] == ["hr.get_employee", "identity.create_user"]
    assert calls["identity.create_user"][0]["displayName"] == "Ada Lovelace"
    assert [call["group"] for call in calls["identity.add_to_group"]] == ["everyone", "engineering"]
    assert [call["to"] for call in calls["mail.send"]] == ["ada@acme.example"]
    assert [(call["start"], call["timeZone"]) for call in calls["calendar.schedule"]] == [
        ("2026-11-27T09:30:00", "Europe/Berlin"),
        ("2026-11-30T10:00:00", "Europe/Berlin"),
        ("2026-12-01T14:00:00", "Europe/Berlin"),
    ]
    assert effects.steps[-1].arguments == {"id": "123", "fields": {"onboardingStatus": "Completed"}}


@pytest.mark.parametrize("department", [None, "Astronomy"])
async def test_everybody_is_in_everyone(department: str | None) -> None:
    employee = EMPLOYEE | {"department": department, "timezone": None}
    _, effects, _ = await carry_out("employee-onboarding", hr__get_employee=lambda _: employee)
    assert [s.arguments["group"] for s in effects.steps if s.tool == "identity.add_to_group"] == ["everyone"]
    assert {s.arguments["timeZone"] for s in effects.steps if s.tool == "calendar.schedule"} == {"UTC"}


@pytest.mark.parametrize("missing", ["workEmail", "hireDate", "firstName", "lastName"])
async def test_what_is_missing_stops_onboarding_before_the_first_write(missing: str) -> None:
    employee = EMPLOYEE | {missing: None}
    _, effects, problem = await carry_out("employee-onboarding", hr__get_employee=lambda _: employee)
    assert isinstance(problem, Problem)
    assert [step.tool for step in effects.steps] == ["hr.get_employee"]


async def test_a_failed_onboarding_is_taken_back() -> None:
    def refused(_: Step) -> Any:
        raise of_tool_error("conflict", "somebody else changed it")

    interpreter, effects, problem = await carry_out("employee-onboarding", hr__update_employee=refused)
    assert isinstance(problem, Problem)
    done = len(effects.steps)
    for entry in interpreter.journal.backwards():
        await interpreter.undo(entry)
    undone = [(step.tool, step.arguments) for step in effects.steps[done:]]
    assert sorted(tool for tool, _ in undone) == [
        *["calendar.cancel"] * 3,
        "identity.deactivate_user",
        *["identity.remove_from_group"] * 2,
        "mail.send",
    ]
    assert undone[-1] == ("identity.deactivate_user", {"id": "u1"})
    assert sorted(call["uid"] for tool, call in undone if tool == "calendar.cancel") == ["uid-0", "uid-1", "uid-2"]


async def undone(interpreter: Interpreter, effects: InMemoryEffects) -> list[Step]:
    done = len(effects.steps)
    for entry in interpreter.journal.backwards():
        await interpreter.undo(entry)
    return effects.steps[done:]


async def test_offboards() -> None:
    _, effects, output = await carry_out("employee-offboarding")
    assert output == OUTPUT
    assert [step.tool for step in effects.steps] == [
        "hr.get_employee",
        "identity.find_user",
        "identity.deactivate_user",
        "identity.remove_from_group",
        "identity.remove_from_group",
        "calendar.find",
        "calendar.cancel",
        "mail.send",
        "hr.update_employee",
    ]
    assert effects.steps[5].arguments == {"attendee": "ada@acme.example", "from": "2026-11-30T09:00:00Z"}
    assert effects.steps[6].arguments == {"uid": "t1"}  # the other one has somebody else invited
    assert effects.steps[7].arguments["to"] == "people@acme.example"
    assert "engineering, everyone" in effects.steps[7].arguments["text"]


async def test_a_failed_offboarding_gives_no_access_back_and_says_so() -> None:
    interpreter, effects, _ = await carry_out("employee-offboarding")
    steps = await undone(interpreter, effects)
    assert [step.tool for step in steps] == [
        "hr.update_employee",
        "mail.send",
        "calendar.schedule",
        "identity.add_to_group",
        "identity.add_to_group",
        "mail.send",
    ]
    assert steps[2].arguments == TRAINING
    for mail in (steps[1], steps[5]):
        assert mail.arguments["to"] == "people@acme.example"
        assert "stays" in mail.arguments["text"] and "active again" not in mail.arguments["text"]


async def test_offboarding_somebody_who_is_offboarded_already_changes_no_account() -> None:
    """A second event for the same leaver: nothing of it may undo what the first did."""
    gone = ACCOUNT | {"active": False, "groups": []}
    answers: dict[str, Any] = {"identity__find_user": lambda _: gone, "calendar__find": lambda _: {"events": []}}
    interpreter, effects, output = await carry_out("employee-offboarding", **answers)
    assert output == OUTPUT
    touched = [step.tool for step in effects.steps + await undone(interpreter, effects)]
    assert [tool for tool in touched if tool.startswith("identity.")] == ["identity.find_user"]
    assert "groups: none" in next(step.arguments["text"] for step in effects.steps if step.tool == "mail.send")


async def test_without_a_time_no_training_is_cancelled() -> None:
    event = [{name: value for name, value in EVENT[0].items() if name != "time"}]
    _, effects, output = await carry_out("employee-offboarding", event)
    assert output == OUTPUT
    assert not [step.tool for step in effects.steps if step.tool.startswith("calendar.")]
