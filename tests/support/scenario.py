"""Scenarios of the language: a document, what it is given, and how it must end. One format for every stage.

A file of scenarios is a YAML list; `Scenario` says what one may hold. The stages that play them are in
`tests.support.temporal_stage` and `tests.support.memory_stage`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import jq
import yaml
from pydantic import BaseModel, ConfigDict, Field

from factotum.procedures.parse import parse

Json = Any
Status = Literal["completed", "failed", "cancelled"]

# Of the stand-in for systems on HTTP; its address is known when the tests run.
PET_STORE = "http://pet-store.test"
ROOT = Path(__file__).parents[2]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Reply(Closed):
    """What a scripted tool answers: an output, or an error of the SDK by its kind."""

    output: Json = Field(default_factory=dict)
    error: str = ""
    after: float = Field(default=0.0, description="seconds that the call takes")


class Expectation(Closed):
    """How a scenario ends. What is not named is not looked at.

    Attributes:
        output: exactly this.
        error: the fault has at least these properties.
        order: the names of the tasks that began, in this order; those of functions and extensions included.
        emitted, calls: at least these properties, item by item; a call is `{tool, arguments}`.
        holds: jq over `{output, error, emitted, calls, tasks}`, each of which must be true; `tasks` is a
            list of `{name, pointer, phase}`.
    """

    status: Status = "completed"
    output: Json = None
    error: dict[str, Json] | None = None
    order: list[str] | None = None
    emitted: list[dict[str, Json]] | None = None
    calls: list[dict[str, Json]] | None = None
    holds: list[str] = []


class Scenario(Closed):
    """One behaviour.

    Attributes:
        document: without `document:` it gets the usual head. In a file of scenarios also the path of a procedure.
        events: CloudEvents offered to the run as soon as it has begun, in this order.
        tools: what each call of a tool is answered with, in their order, the last one again and again.
        documents: other documents, for `run.workflow`.
        functions: what cataloged calls stand for, by the text of `call`.
        secrets: texts by name.
        cancel_after: seconds after which a person cancels the run.
        sandbox: it runs commands, which takes what a sandbox is made of.
        lint: what a check says of the document, of which it is the only fault; empty: it has none.
    """

    scenario: str
    document: dict[str, Json]
    input: Json = Field(default_factory=dict)
    events: list[dict[str, Json]] = []
    tools: dict[str, list[Reply]] = {}
    documents: list[dict[str, Json]] = []
    functions: dict[str, dict[str, Json]] = {}
    secrets: dict[str, str] = {}
    cancel_after: float | None = None
    sandbox: bool = False
    lint: str = ""
    expect: Expectation = Expectation()


@dataclass(frozen=True, slots=True)
class Task:
    """A moment in the life of a task."""

    pointer: str
    phase: str

    @property
    def name(self) -> str:
        return self.pointer.rpartition("/")[2]


@dataclass(slots=True)
class Performance:
    """How a scenario was played. `error` is the problem of RFC 9457 that a failed run ended with."""

    status: Status
    output: Json = None
    error: dict[str, Json] | None = None
    emitted: list[dict[str, Json]] = field(default_factory=list)
    calls: list[dict[str, Json]] = field(default_factory=list)
    tasks: list[Task] = field(default_factory=list)

    @property
    def order(self) -> list[str]:
        return [task.name for task in self.tasks if task.phase == "started"]

    def as_json(self) -> dict[str, Json]:
        return {
            "output": self.output,
            "error": self.error,
            "emitted": self.emitted,
            "calls": self.calls,
            "tasks": [{"name": task.name, "pointer": task.pointer, "phase": task.phase} for task in self.tasks],
        }


class Stage(Protocol):
    """Where scenarios are played."""

    async def play(self, scenario: Scenario) -> Performance: ...


def scenarios(folder: Path) -> Iterator[tuple[str, Scenario]]:
    """(id, scenario) of every file of a folder."""
    for path in sorted(folder.glob("*.yaml")):
        for body in yaml.safe_load(path.read_text(encoding="utf-8")):
            named = {
                "document": _document(body["document"]),
                "documents": list(map(_document, body.get("documents", ()))),
            }
            scenario = Scenario.model_validate({**body, **named})
            yield f"{path.stem}: {scenario.scenario}", scenario


def _document(given: Json) -> Json:
    """What stands in a file of the checkout, if it is a path."""
    # Read as a procedure is: to plain YAML 1.1 the key `on` is a truth value.
    return dict(parse((ROOT / given).read_text(encoding="utf-8")).raw) if isinstance(given, str) else given


def headed(document: dict[str, Json]) -> dict[str, Json]:
    """The document with a head, if it has none."""
    head = {"dsl": "1.0.3", "namespace": "test", "name": "scenario", "version": "1.0.0"}
    return document if "document" in document else {"document": head, **document}


def judge(expected: Expectation, played: Performance) -> None:
    """Raises `AssertionError` where the two differ."""
    assert played.status == expected.status, played
    if "output" in expected.model_fields_set:
        assert played.output == expected.output
    if expected.error is not None:
        assert _part(played.error, expected.error) == expected.error
    if expected.order is not None:
        assert played.order == expected.order
    for name in ("emitted", "calls"):
        wanted, found = getattr(expected, name), getattr(played, name)
        if wanted is not None:
            assert [_part(item, part) for item, part in zip(found, wanted, strict=False)] == wanted
            assert len(found) == len(wanted)
    for program in expected.holds:
        assert jq.compile(program).input_value(played.as_json()).first() is True, (program, played.as_json())


def _part(found: Json, wanted: Json) -> Json:
    """`found` without the properties that nobody asked for."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return {key: _part(value, wanted[key]) for key, value in found.items() if key in wanted}
    return found
