"""The planner tells which procedures each tenant has."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from factotum.events.envelope import Event
from factotum.events.types import OFFERED_TYPE
from factotum.planner.offering import ProcedureOffering, procedure_data
from factotum.procedures.parse import parse
from tests.support.library import NOW, open_library

SHARED = """
document: {dsl: '1.0.3', namespace: hr, name: welcome, version: '1.0.0', title: Welcome, summary: Somebody new}
schedule: {on: {one: {with: {type: com.hired}}}}
use: {functions: {greet.all: {call: mail.send, with: {}}}}
do:
  - account: {call: identity.create_user, with: {}, metadata: {compensate: {call: identity.remove_user}}}
  - hello: {call: greet.all}
"""
OWN = SHARED.replace("hr, name: welcome", "it, name: laptop")


class Producer:
    def __init__(self) -> None:
        self.told: list[Event] = []

    async def publish(self, topic: str, event: Event) -> None:
        self.told.append(event)


async def test_the_tenants_that_are_known_are_told(tmp_path: Path) -> None:
    producer = Producer()
    async with open_library(tmp_path / "planner.sqlite", [SHARED]) as library:
        telling = ProcedureOffering(library, cast(Any, producer), ["acme"], lambda: NOW)
        await telling.tell()
        assert [(event.tenant, event.data.get("name")) for event in producer.told] == [
            ("acme", "hr/welcome"),
            ("acme", None),
        ]
        await telling.tell()
        assert len(producer.told) == 2
        await library.register("globex", OWN, NOW)
        # Who asks is known from then on.
        await library.newest("initech")
        await telling.tell()
    names = {event.tenant: event.data["names"] for event in producer.told if event.type == OFFERED_TYPE}
    assert names == {
        "acme": ["hr/welcome"],
        "globex": ["hr/welcome", "it/laptop"],
        "initech": ["hr/welcome"],
    }


def test_a_procedure_is_told_by_what_it_is_for_and_what_it_uses() -> None:
    data = procedure_data(parse(SHARED))
    assert (data.name, data.version, data.title, data.summary) == ("hr/welcome", "1.0.0", "Welcome", "Somebody new")
    # What stands in a function of its own is not a call by that name.
    assert (data.triggers, data.tools) == (["com.hired"], ["identity.create_user"])
