"""Which events start which procedures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.events.envelope import Event
from factotum.planner.planning import Offer, hops_of, offers, plan, run_of
from factotum.planner.preparation import prepared
from factotum.planner.resolution import Resolved
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse
from factotum.runs.identity import run_id, tenant_of
from tests.support.intake import nothing_is_costly

EVENT = Event(
    id="e-1",
    source="/hooks/bamboohr",
    type="com.bamboohr.employee.created",
    tenant="acme",
    subject="123",
    time=datetime(2026, 1, 5, 9, tzinfo=UTC),
    data={"employee": {"department": "Engineering", "level": 3}},
)


def procedure(on: str, name: str = "p", do: str = "- a: {set: {x: 1}}") -> Source:
    header = f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0'}}"
    return parse(f"{header}\nschedule: {{on: {on}}}\ndo:\n  {do}\n")


async def matching(event: Event, source: Source) -> list[Offer]:
    return await offers(event.model_dump(mode="json", exclude_none=True), source, nothing_is_costly)


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("{one: {with: {type: com.bamboohr.employee.created}}}", True),
        ("{one: {with: {type: com.bamboohr.employee.create}}}", False),
        ("{one: {with: {type: com.bamboohr.employee-created}}}", False),
        ("{one: {with: {type: ..............................}}}", False),
        ("{one: {with: {source: /hooks/bamboohr}}}", True),
        ("{one: {with: {source: /hooks/b.mb..hr}}}", False),
        ("{one: {with: {source: '/hooks/.*'}}}", True),
        ("{one: {with: {type: 'com[.]bamboohr[.]employee[.](created|updated)'}}}", True),
        ("{one: {with: {type: com.bamboohr.employee.created, subject: '124'}}}", False),
        ("{one: {with: {subject: '${ (. | tonumber) > 100 }'}}}", True),
        ("{one: {with: {data: {employee: {department: Engineering}}}}}", True),
        ("{one: {with: {data: {employee: {department: Sales}}}}}", False),
        ("{one: {with: {data: {employee: {level: 3}}}}}", True),
        ("{one: {with: {data: '${ .employee.level >= 4 }'}}}", False),
        ("{one: {with: {data: '${ .employee.level.nothing.here }'}}}", False),
        ("{one: {with: {absent: x}}}", False),
        ("{one: {with: {type: '['}}}", False),
        ("{any: [{with: {type: other}}, {with: {tenant: acme}}]}", True),
        ("{any: []}", True),
        ("{all: [{with: {type: other}}, {with: {tenant: acme}}]}", True),
        ("{one: {with: {tenant: acme}, correlate: {who: {from: .subject, expect: '123'}}}}", True),
        ("{one: {with: {tenant: acme}, correlate: {who: {from: .subject, expect: '124'}}}}", False),
        ("{one: {with: {tenant: acme}, correlate: {who: {from: .nowhere}}}}", False),
    ],
)
async def test_matching(on: str, expected: bool) -> None:
    assert bool(await matching(EVENT, procedure(on))) is expected


@pytest.mark.parametrize("of", ["com.bamboohr.employeeXcreated", "comXbamboohr.employee.created"])
async def test_the_dots_of_a_type_are_dots(of: str) -> None:
    wanted = procedure("{one: {with: {type: com.bamboohr.employee.created}}}")
    assert await matching(EVENT.model_copy(update={"type": of}), wanted) == []


async def test_a_procedure_without_a_schedule_is_never_started_by_an_event() -> None:
    text = "document: {dsl: '1.0.3', namespace: test, name: p, version: '1.0.0'}\ndo:\n  - a: {set: {x: 1}}\n"
    assert await matching(EVENT, parse(text)) == []


def test_the_plan_carries_the_document_the_event_and_the_identity() -> None:
    source = procedure("{one: {with: {type: com.bamboohr.employee.created}}}")
    made = plan([EVENT], prepared(Resolved(source), {}))
    assert made.run.input == [EVENT.model_dump(mode="json", exclude_none=True)]
    assert made.run.document == source.raw
    assert made.run.event.id == "e-1"
    assert made.run_id == run_id(tenant="acme", source="/hooks/bamboohr", event_id="e-1", procedure="test/p")
    assert made.run_id.startswith("acme.p.")


def test_a_plan_that_calls_what_there_is_not_is_refused() -> None:
    source = procedure("{one: {with: {tenant: acme}}}", do="- a: {call: no.such_tool}")
    with pytest.raises(FaultyDocument, match=r"no tool `no\.such_tool`"):
        plan([EVENT], prepared(Resolved(source), {}))


def test_a_run_is_one_further_from_the_outside_than_the_farthest_of_its_events() -> None:
    source = procedure("{all: [{with: {type: a}}, {with: {type: b}}]}")
    events = [EVENT.model_copy(update={"id": str(hops), "factotumhops": hops}) for hops in (3, 5, 4)]
    assert [hops_of(event) for event in events] == [3, 5, 4]
    assert plan(events, prepared(Resolved(source), {})).run.hops == 5


def test_events_that_start_one_run_together_name_it_in_any_order() -> None:
    together, alone = procedure("{all: [{with: {type: a}}, {with: {type: b}}]}"), procedure("{one: {with: {type: a}}}")
    pair = [("/s", "1"), ("/s", "2")]
    assert run_of(pair, together, "acme") == run_of(pair[::-1], together, "acme")
    assert run_of(pair, together, "acme") != run_of([("/s", "1"), ("/s", "3")], together, "acme")
    assert run_of(pair[:1], together, "acme") != run_of(pair[:1], alone, "acme")


identities = st.fixed_dictionaries(
    {"tenant": st.sampled_from(["acme", "globex"]), "source": st.text(), "event_id": st.text(), "procedure": st.text()}
)


@given(identities, identities)
def test_two_runs_have_one_id_only_if_everything_agrees(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert (run_id(**one) == run_id(**two)) is (one == two)
    assert tenant_of(run_id(**one)) == one["tenant"]
