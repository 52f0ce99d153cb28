from __future__ import annotations

import json
from pathlib import Path

import grpc
from typer.testing import CliRunner

from factotum.api.memory.v1 import memory_pb2
from factotum.api.planner.v1 import planner_pb2
from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.cli.main import app
from tests.support.stubs import Stubs

_TOOL = pb.Tool(
    name="identity.create_user",
    version="1.0.0",
    description="Create an account.",
    effect=pb.EFFECT_CREATE,
    idempotency=pb.IDEMPOTENCY_RECONCILE,
    input_schema_json='{"type": "object", "required": ["userName"]}',
    output_schema_json='{"type": "object"}',
    timeout_seconds=30,
)


def test_tools_list_and_describe(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["ListTools"] = pb.ListToolsResponse(tools=[_TOOL])
    parts.tools.answers["DescribeTool"] = pb.DescribeToolResponse(tool=_TOOL)
    assert "identity.create_user" in runner.invoke(app, ["tools", "list"]).stdout
    described = json.loads(runner.invoke(app, ["tools", "describe", "identity.create_user", "--json"]).stdout)
    assert described["input_schema"] == {"type": "object", "required": ["userName"]}
    assert (described["effect"], described["idempotency"]) == ("create", "reconcile")
    assert "userName" in runner.invoke(app, ["tools", "describe", "identity.create_user"]).stdout


def test_call_sends_the_arguments_as_they_were_written(runner: CliRunner, parts: Stubs, tmp_path: Path) -> None:
    parts.tools.answers["Execute"] = pb.ExecuteResponse(observation=pb.Observation(output_json='{"id": "7"}'))
    file = tmp_path / "arguments.json"
    file.write_text('{ "id" : "1.0" }', encoding="utf-8")
    result = runner.invoke(app, ["tools", "call", "hr.get_employee", "--args", f"@{file}", "--key", "k1"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"id": "7"}
    (sent,) = parts.tools.requests
    assert isinstance(sent, pb.ExecuteRequest)
    assert (sent.arguments_json, sent.idempotency_key) == ('{ "id" : "1.0" }', "k1")


def test_call_without_a_key_makes_a_new_one_each_time(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["Execute"] = pb.ExecuteResponse(observation=pb.Observation(output_json="{}"))
    for _ in range(2):
        runner.invoke(app, ["tools", "call", "hr.get_employee"])
    first, second = (request.idempotency_key for request in parts.tools.requests)  # type: ignore[attr-defined]
    assert first and second and first != second


def test_a_key_that_was_made_is_not_lost_with_the_answer(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["Execute"] = (grpc.StatusCode.UNAVAILABLE, "the connection was lost")
    lost = runner.invoke(app, ["tools", "call", "identity.create_user"])
    (sent,) = parts.tools.requests
    assert isinstance(sent, pb.ExecuteRequest)
    assert lost.exit_code == 1 and f"--key {sent.idempotency_key}" in lost.stderr


def test_a_tool_that_fails_is_status_1_with_its_message(runner: CliRunner, parts: Stubs) -> None:
    error = pb.ToolError(kind=pb.ERROR_KIND_CONFLICT, message="the identity system answered 409: taken")
    parts.tools.answers["Execute"] = pb.ExecuteResponse(observation=pb.Observation(error=error))
    result = runner.invoke(app, ["tools", "call", "identity.create_user"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "conflict: the identity system answered 409: taken" in result.stderr
    as_json = runner.invoke(app, ["tools", "call", "identity.create_user", "--json"])
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["error"]["kind"] == "conflict"


def test_effects_list_filters_by_state_and_says_what_to_do(runner: CliRunner, parts: Stubs) -> None:
    entry = pb.EffectEntry(
        idempotency_key="k1", tool="mail.send", state=pb.EFFECT_STATE_AMBIGUOUS, attempts=2, reason="no archive"
    )
    parts.tools.answers["ListEffects"] = pb.ListEffectsResponse(effects=[entry])
    result = runner.invoke(app, ["effects", "list", "--state", "ambiguous", "--state", "failed"])
    assert result.exit_code == 0
    assert "no archive" in result.stdout
    assert "effects resolve KEY" in result.stderr
    assert parts.tools.requests == [
        pb.ListEffectsRequest(tenant="acme", limit=100, states=[pb.EFFECT_STATE_AMBIGUOUS, pb.EFFECT_STATE_FAILED])
    ]


def test_resolve_says_what_a_person_found_out(runner: CliRunner, parts: Stubs) -> None:
    entry = pb.EffectEntry(idempotency_key="k1", tool="mail.send", state=pb.EFFECT_STATE_DONE)
    parts.tools.answers["ResolveEffect"] = pb.ResolveEffectResponse(effect=entry)
    given = ["effects", "resolve", "k1", "--happened", "--output", '{"messageId": "<a@b>"}', "--because", "the log"]
    assert runner.invoke(app, given).exit_code == 0
    assert runner.invoke(app, ["effects", "resolve", "k1", "--did-not"]).exit_code == 0
    assert parts.tools.requests == [
        pb.ResolveEffectRequest(
            tenant="acme", idempotency_key="k1", happened=True, output_json='{"messageId": "<a@b>"}', reason="the log"
        ),
        pb.ResolveEffectRequest(tenant="acme", idempotency_key="k1", happened=False),
    ]


def test_resolving_what_is_not_ambiguous_is_a_sentence(runner: CliRunner, parts: Stubs) -> None:
    parts.tools.answers["ResolveEffect"] = (grpc.StatusCode.FAILED_PRECONDITION, "k1 is done")
    result = runner.invoke(app, ["effects", "resolve", "k1", "--happened"])
    assert (result.exit_code, result.stderr) == (1, "factotum: k1 is done\n")


def test_memory_search(runner: CliRunner, parts: Stubs) -> None:
    record = memory_pb2.Record(id="r1", kind=memory_pb2.KIND_EPISODE, text="Onboarded Ada Lovelace", run_id="acme.x.1")
    parts.memory.answers["Recall"] = memory_pb2.RecallResponse(
        recollections=[memory_pb2.Recollection(record=record, score=0.5)]
    )
    result = runner.invoke(app, ["memory", "search", "what did we do for Ada", "--kind", "episode", "--limit", "3"])
    assert result.exit_code == 0
    assert "Onboarded Ada Lovelace" in result.stdout and "acme.x.1" in result.stdout
    assert parts.memory.requests == [
        memory_pb2.RecallRequest(
            tenant="acme", query="what did we do for Ada", kinds=[memory_pb2.KIND_EPISODE], limit=3
        )
    ]
    found = json.loads(runner.invoke(app, ["memory", "search", "Ada", "--json"]).stdout)
    assert found["recollections"][0]["record"]["kind"] == "episode"


def test_procedures_list(runner: CliRunner, parts: Stubs) -> None:
    found = planner_pb2.Procedure(procedure="hr/employee-onboarding", version="1.0.0", event_types=["a.b"])
    parts.planner.answers["ListProcedures"] = planner_pb2.ListProceduresResponse(procedures=[found])
    assert "hr/employee-onboarding" in runner.invoke(app, ["procedures", "list"]).stdout


def test_lint_takes_the_running_stacks_tools(runner: CliRunner, parts: Stubs, tmp_path: Path) -> None:
    parts.tools.answers["ListTools"] = pb.ListToolsResponse(tools=[_TOOL])
    document = tmp_path / "one.yaml"
    document.write_text(
        "document: {dsl: '1.0.3', namespace: hr, name: one, version: '1.0.0'}\n"
        "do:\n"
        "  - first: {call: identity.create_user, with: {}}\n",
        encoding="utf-8",
    )
    result = runner.invoke(app, ["procedures", "lint", "--json", str(document)])
    found = json.loads(result.stdout)
    assert (result.exit_code, found["catalog"]) == (1, "stack")
    assert "'userName' is a required property" in found["files"][0]["faults"][0]["message"]


def test_what_was_refused_before_it_was_done_is_not_to_be_asked_for_again(runner: CliRunner, parts: Stubs) -> None:
    for code, said in ((grpc.StatusCode.NOT_FOUND, False), (grpc.StatusCode.UNAVAILABLE, True)):
        parts.tools.answers["Execute"] = (code, "nope")
        result = runner.invoke(app, ["tools", "call", "nope.x", "{}"])
        assert result.exit_code == 1 and ("--key" in result.stderr) is said, code
