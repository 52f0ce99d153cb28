"""A plan with a call that policy denies is refused at the step; asking costs one round trip a plan and moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from factotum.api.tools.v1 import tools_pb2
from factotum.events.envelope import Event
from factotum.events.reserved import ACTS_FOR
from factotum.planner.errors import CatalogUnavailable
from factotum.planner.permission import FRESH_SECONDS, Permitted
from factotum.planner.planning import acts_for
from factotum.planner.preparation import Prepared, prepared
from factotum.planner.resolution import Resolved
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.parse import Source, parse
from factotum.procedures.planned_calls import PlannedCall, planned_calls
from factotum.runtime.grpc_client import channel
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.workflows import contract
from tests.support.executor import ScriptedExecutor, scripted_executor

HEAD = "document: {dsl: '1.0.3', namespace: t, name: %s, version: '1.0.0'}\n"


def spec(name: str) -> ToolSpec:
    return ToolSpec(
        name=name,
        version="1.0.0",
        description="",
        effect=Effect.SEND,
        idempotency=Idempotency.NATIVE,
        input_schema={},
        output_schema={},
    )


CATALOG = {name: spec(name) for name in ("mail.send", "mail.undo", "http.request", "process.shell")}
PLAN = """do:
  - tell: {call: mail.send, with: {to: '${ .who }', cc: [a, 'x ${ .b }'], text: hello}}
  - plain:
      call: mail.send
      with: {text: hello}
      metadata: {compensate: {call: mail.undo, with: {id: '${ .id }'}}}
  - fetch: {call: http, with: {method: get, endpoint: 'http://x.example'}}
  - work: {run: {shell: {command: ls}}}
  - own: {call: helper}
"""
HELPER = "use: {functions: {helper: {call: mail.send, with: {text: '${ .x }'}}}}\n"


def document(text: str, name: str = "p") -> Source:
    return parse(HEAD % name + text)


def test_the_calls_of_a_document_as_far_as_they_are_written() -> None:
    assert list(planned_calls(document(HELPER + PLAN))) == [
        PlannedCall("/use/functions/helper", "mail.send", {"text": "${ .x }"}, ("/text",)),
        PlannedCall(
            "/do/0/tell",
            "mail.send",
            {"to": "${ .who }", "cc": ["a", "x ${ .b }"], "text": "hello"},
            ("/to", "/cc/1"),
        ),
        PlannedCall("/do/1/plain", "mail.send", {"text": "hello"}, ()),
        PlannedCall("/do/1/plain/metadata/compensate", "mail.undo", {"id": "${ .id }"}, ("/id",)),
        PlannedCall("/do/2/fetch", "http.request"),
        PlannedCall("/do/3/work", "process.shell"),
    ]


def test_in_loose_mode_any_text_may_be_an_expression() -> None:
    text = "evaluate: {mode: loose}\ndo:\n  - a: {call: mail.send, with: {text: .who}}\n"
    assert list(planned_calls(document(text))) == [PlannedCall("/do/0/a", "mail.send")]


class Bench:
    def __init__(self, executor: ScriptedExecutor, connection: Any) -> None:
        self.executor = executor
        self.now = 0.0
        self.found: dict[str, Prepared] = {}
        own: Any = self
        self.permitted = Permitted(own, connection, monotonic=lambda: self.now)

    async def prepare(self, tenant: str, source: Source) -> Prepared:
        """What `Preparation` gives, the same for the same source."""
        name = source.document.full_name
        nested = [("/do/0/a/run/workflow", document("do:\n  - b: {call: mail.undo}\n", "inner"))]
        found = prepared(Resolved(source, procedures=nested if name == "t/outer" else []), CATALOG)
        return self.found.setdefault(name, found)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        yield Bench(executor, connection)


async def test_one_question_tells_all_calls_and_whom_they_are_for(bench: Bench) -> None:
    await bench.permitted.prepare("acme", document(PLAN.replace("  - own: {call: helper}\n", "")), acting_for="ada")
    (asked,) = bench.executor.asked
    assert (asked.tenant, asked.user, {call.procedure for call in asked.calls}) == ("acme", "ada", {"t/p"})
    first, *_, last = asked.calls
    assert (first.tool, list(first.unknown)) == ("mail.send", ["/to", "/cc/1"])
    assert (last.tool, last.arguments_json) == ("process.shell", "")


async def test_one_question_tells_which_secrets_each_call_is_given(bench: Bench) -> None:
    text = """use: {secrets: [desk, other]}
do:
  - a: {call: mail.send, with: {text: 'Bearer ${ $secrets.desk }'}}
  - b: {call: mail.send, with: {text: desk}, metadata: {compensate: {call: mail.undo, with: {id: '${ .id }'}}}}
"""
    await bench.permitted.prepare("acme", document(text), acting_for="ada")
    asked = [call.secrets for call in bench.executor.asked[0].calls]
    assert asked == [
        tools_pb2.PlannedSecrets(names=["desk"], others=True, hidden=["/text"]),
        tools_pb2.PlannedSecrets(names=["desk"]),
        tools_pb2.PlannedSecrets(others=True),
    ]


async def test_a_denied_call_is_a_fault_at_its_step_with_the_explanation(bench: Bench) -> None:
    bench.executor.denied = {"mail.undo": "nobody may"}
    source = document(PLAN.replace("  - own: {call: helper}\n", ""))
    with pytest.raises(FaultyDocument) as refused:
        await bench.permitted.prepare("acme", source, acting_for="ada")
    (fault,) = refused.value.faults
    assert (fault.pointer, fault.message) == ("/do/1/plain/metadata/compensate", "nobody may")
    assert fault.line == 7


async def test_a_nested_procedure_acts_under_its_own_name_and_is_told_where_it_is_started(bench: Bench) -> None:
    bench.executor.denied = {"mail.undo": "nobody may"}
    outer = document("do:\n  - a: {run: {workflow: {namespace: t, name: inner, version: '1.0.0'}}}\n", "outer")
    with pytest.raises(FaultyDocument) as refused:
        await bench.permitted.prepare("acme", outer, acting_for="")
    (fault,) = refused.value.faults
    assert fault.pointer == "/do/0/a/run/workflow"
    assert fault.message == "t/inner 1.0.0: /do/0/b: nobody may"
    assert [call.procedure for call in bench.executor.asked[0].calls] == ["t/inner"]


async def test_that_it_may_is_kept_for_a_moment_that_it_may_not_is_asked_anew(bench: Bench) -> None:
    source = document("do:\n  - a: {call: mail.send}\n")

    async def prepare(user: str = "ada") -> Prepared:
        return await bench.permitted.prepare("acme", source, acting_for=user)

    await prepare()
    await prepare()
    assert len(bench.executor.asked) == 1
    await prepare("bob")
    assert len(bench.executor.asked) == 2
    bench.now = FRESH_SECONDS
    bench.executor.denied = {"mail.send": "no more"}
    for count in (3, 4):
        with pytest.raises(FaultyDocument, match="no more"):
            await prepare()
        assert len(bench.executor.asked) == count
    bench.executor.denied = {}
    await prepare()


async def test_nothing_is_asked_for_what_begins_no_run_or_makes_no_call(bench: Bench) -> None:
    bench.executor.denied = {"mail.send": "no"}
    await bench.permitted.prepare("acme", document("do:\n  - a: {call: mail.send}\n"))
    await bench.permitted.prepare("acme", document("do:\n  - a: {set: {x: 1}}\n", "q"), acting_for="ada")
    assert bench.executor.asked == []


async def test_while_the_executor_is_away_what_is_known_holds_and_the_rest_waits() -> None:
    async with scripted_executor() as executor, channel(executor.address) as connection:
        bench = Bench(executor, connection)
        known, other = (document("do:\n  - a: {call: mail.send}\n", name) for name in ("p", "q"))
        await bench.permitted.prepare("acme", known, acting_for="")
        bench.now = 10 * FRESH_SECONDS
        executor.away = True
        await bench.permitted.prepare("acme", known, acting_for="")
        with pytest.raises(CatalogUnavailable, match="UNAVAILABLE"):
            await bench.permitted.prepare("acme", other, acting_for="")


def event(user: Any = None) -> Event:
    extensions = {} if user is None else {ACTS_FOR: user}
    return Event(id="1", source="/s", type="t", tenant="acme", **extensions)


def test_a_run_acts_for_whom_all_of_its_events_name() -> None:
    assert acts_for([event("ada")]) == "ada"
    assert acts_for([event("ada"), event("ada")]) == "ada"
    assert acts_for([event()]) == acts_for([event("ada"), event("bob")]) == acts_for([event("ada"), event()]) == ""
    assert acts_for([event(7)]) == acts_for([event("x" * 257)]) == ""
    assert contract.ACTS_FOR == ACTS_FOR
