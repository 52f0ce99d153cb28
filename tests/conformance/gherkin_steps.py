"""The steps of the conformance kit, as its README describes them: what a scenario plays, and what must hold then."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from gherkin.parser import Parser
from gherkin.pickles.compiler import Compiler, Pickle

from factotum.procedures.parse import parse
from tests.support.scenario import Performance, Scenario

Json = Any
Check = Callable[[Performance], None]
Make = Callable[["KitScenario", str | None, re.Match[str]], None]


class UnknownStep(Exception):
    """The kit has a step that its README does not describe."""


@dataclass
class KitScenario:
    """A scenario of the kit: what to play, and the checks of its end, in their order."""

    name: str
    document: dict[str, Json] = field(default_factory=dict)
    input: Json = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def played(self) -> Scenario:
        return Scenario(scenario=self.name, document=self.document, input=self.input)


def scenarios(text: str) -> list[Pickle]:
    """The scenarios of a feature, not looked into yet."""
    feature: Any = {**Parser().parse(text), "uri": ""}
    return list(Compiler().compile(feature))


def read(pickle: Pickle, replace: Callable[[str], str]) -> KitScenario:
    """What a scenario says. `replace` is applied to every text between quotes.

    Raises `UnknownStep`, `FaultyDocument`.
    """
    scenario = KitScenario(pickle["name"])
    for step in pickle["steps"]:
        argument: Any = step.get("argument") or {}
        quoted = argument.get("docString", {}).get("content")
        text = None if quoted is None else replace(quoted)
        for pattern, make in STEPS:
            if (found := re.fullmatch(pattern, step["text"].strip())) is not None:
                make(scenario, text, found)
                break
        else:
            raise UnknownStep(f"{scenario.name}: {step['text']}")
    return scenario


def _document(scenario: KitScenario, text: str | None, _: re.Match[str]) -> None:
    scenario.document = parse(text or "").raw


def _input(scenario: KitScenario, text: str | None, _: re.Match[str]) -> None:
    scenario.input = yaml.safe_load(text or "")


def _nothing(scenario: KitScenario, text: str | None, _: re.Match[str]) -> None:
    """Every scenario is played once, before its checks."""


def _ends(status: str, what: str) -> Make:
    """The run ends so; with a text between quotes, with at least this output or error."""

    def make(scenario: KitScenario, text: str | None, _: re.Match[str]) -> None:
        value = None if text is None else yaml.safe_load(text)

        def check(played: Performance) -> None:
            assert played.status == status, played
            if text is None:
                return
            found: Json = getattr(played, what)
            if what == "error":
                found = {name: (found or {}).get(name) for name in value or ()}
            assert found == value

        scenario.checks.append(check)

    return make


def _properties(scenario: KitScenario, _: str | None, found: re.Match[str]) -> None:
    paths = re.findall(r"'([^']+)'", found["paths"])

    def check(played: Performance) -> None:
        for path in paths:
            _at(played.output, path)

    scenario.checks.append(check)


def _property(scenario: KitScenario, text: str | None, found: re.Match[str]) -> None:
    path, value = found["path"], yaml.safe_load(text or "")

    def check(played: Performance) -> None:
        assert _at(played.output, path) == value

    scenario.checks.append(check)


def _count(scenario: KitScenario, _: str | None, found: re.Match[str]) -> None:
    path, count = found["path"], int(found["count"])

    def check(played: Performance) -> None:
        assert len(_at(played.output, path)) == count

    scenario.checks.append(check)


def _at(value: Json, path: str) -> Json:
    for name in path.split("."):
        assert isinstance(value, dict), (path, value)
        assert name in value, (path, value)
        value = value[name]
    return value


def _place(scenario: KitScenario, _: str | None, found: re.Match[str]) -> None:
    name, index = found["name"], {"first": 0, "last": -1}[found["place"]]

    def check(played: Performance) -> None:
        assert played.order[index] == name, played.order

    scenario.checks.append(check)


def _sequence(scenario: KitScenario, _: str | None, found: re.Match[str]) -> None:
    names = [found["name"], found["other"]]
    if found["relation"] == "after":
        names.reverse()

    def check(played: Performance) -> None:
        earlier, later = (played.order.index(name) for name in names)
        assert earlier < later, played.order

    scenario.checks.append(check)


def _task_ends(scenario: KitScenario, text: str | None, found: re.Match[str]) -> None:
    if text is not None:
        # No scenario looks into a task today, and a run keeps no task's output once the next has it.
        raise UnknownStep(f"{scenario.name}: the output or the error of a single task")
    name, phase = found["name"], {"complete": "completed", "fault": "faulted", "cancel": "cancelled"}[found["verb"]]

    def check(played: Performance) -> None:
        assert (name, phase) in [(task.name, task.phase) for task in played.tasks], played.tasks

    scenario.checks.append(check)


STEPS: tuple[tuple[str, Make], ...] = (
    (r"a workflow with definition:", _document),
    (r"given the workflow input is:", _input),
    (r"the workflow is executed", _nothing),
    (r"the workflow should cancel", _ends("cancelled", "output")),
    (r"the workflow should complete( with output:)?", _ends("completed", "output")),
    (r"the workflow should fault( with error:)?", _ends("failed", "error")),
    (r"the workflow output should have properties (?P<paths>'.*')", _properties),
    (r"the workflow output should have a '(?P<path>[^']+)' property with value:", _property),
    (r"the workflow output should have a '(?P<path>[^']+)' property containing (?P<count>\d+) items", _count),
    (r"(?P<name>\S+) should run (?P<place>first|last)", _place),
    (r"(?P<name>\S+) should run (?P<relation>before|after) (?P<other>\S+)", _sequence),
    (r"(?P<name>\S+) should (?P<verb>cancel|complete|fault)( with (output|error):)?", _task_ends),
)
