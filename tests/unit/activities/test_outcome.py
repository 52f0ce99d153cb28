"""A run's outcome is told whatever its size, and the event says what was left out."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from factotum.activities.outcome import Outcomes
from factotum.events.producer import MAX_MESSAGE_BYTES, EventProducer
from factotum.events.topics import OUTCOMES
from factotum.events.types import OutcomeData
from factotum.workflows.contract import EventReference, Outcome, PersonTask
from tests.support.kafka import embedded_kafka, read_all

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LARGE = {"text": "x" * (MAX_MESSAGE_BYTES + 1)}


async def told(**changes: Any) -> OutcomeData:
    given: dict[str, Any] = {
        "tenant": "acme",
        "run_id": "acme.p.1",
        "procedure": "t/p",
        "procedure_version": "1.0.0",
        "event": EventReference(source="/t", id="1", type="t"),
        "status": "failed",
        "input": {"id": "7"},
        "output": {"ok": True},
        "failure": "because",
        "compensated": ["/do/0/a"],
        "started_at": NOW,
        "ended_at": NOW,
    }
    with embedded_kafka() as kafka:
        async with EventProducer(kafka, client_id="test") as producer:
            await ActivityEnvironment().run(Outcomes(producer).publish, Outcome(**(given | changes)))
        (message,) = read_all(kafka, OUTCOMES)
    return OutcomeData.model_validate(json.loads(message.value)["data"])


@pytest.mark.parametrize(
    ("changes", "kept", "note"),
    [
        ({}, ({"id": "7"}, {"ok": True}), ""),
        ({"output": LARGE}, ({"id": "7"}, None), "the output was too large to be kept"),
        ({"input": LARGE}, (None, None), "input and output were too large to be kept"),
    ],
)
async def test_what_is_too_large_is_left_out(changes: dict[str, Any], kept: tuple[Any, Any], note: str) -> None:
    data = await told(**changes)
    assert ((data.input, data.output), data.note) == (kept, note)
    assert (data.status, data.failure, data.compensated) == ("failed", "because", ["/do/0/a"])


async def test_even_the_failure_is_bounded() -> None:
    data = await told(failure="because " * (MAX_MESSAGE_BYTES // 8))
    assert data.failure.startswith("because") and len(data.failure) == 10_000


def task(**arguments: Any) -> PersonTask:
    return PersonTask(
        kind="undo",
        step="/do/0/a",
        iteration="",
        tool="x.undo",
        arguments=arguments,
        idempotency_key="acme.p.1:/do/0/a::undo",
        error="away",
    )


async def test_what_is_left_to_people_is_told_without_secrets_and_bounded() -> None:
    (left,) = (await told(tasks=[task(id=1, password="hunter2")])).tasks
    assert left.model_dump() == task(id=1).model_dump()
    data = await told(tasks=[task(**LARGE)] + [task(id=1)] * 150)
    assert len(data.tasks) == 100 and data.tasks[0].arguments == {} and data.tasks[0].error == "away"
    assert "left to people" in data.note


async def test_secrets_are_not_told() -> None:
    given = [{"data": {"name": "ada", "initialPassword": "hunter2"}}]
    data = await told(input=given, output={"accounts": [{"id": "1", "api-key": "hunter2"}]})
    assert data.input == [{"data": {"name": "ada"}}] and data.output == {"accounts": [{"id": "1"}]}
