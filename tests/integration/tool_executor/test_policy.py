"""Permission over the wire, by the starter policy; an executor does not start with policies that cannot be used."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.planner.permission import denials, question
from factotum.planner.preparation import own_calls
from factotum.procedures.parse import parse
from tests.support.executor_process import ROOT, ExecutorProcess

ALLOWED, DENIED, DEPENDS = pb.VERDICT_ALLOWED, pb.VERDICT_DENIED, pb.VERDICT_DEPENDS


async def test_what_the_starter_says_and_what_cannot_be_asked(executor: ExecutorProcess) -> None:
    asked = pb.AuthorizeRequest(tenant="acme", tool="fake.drop", user="ada", arguments_json='{"name": "ada"}')
    by_hand = await executor.stub.Authorize(asked)
    assert (by_hand.verdict, list(by_hand.policies)) == (DENIED, ["starter.own-systems"])
    assert 'principal == User::"acme/ada"' in by_hand.explanation
    asked.procedure = "hr/leaver"
    assert (await executor.stub.Authorize(asked)).verdict == ALLOWED
    for changes, code in (
        ({"tool": "fake.nothing"}, grpc.StatusCode.NOT_FOUND),
        ({"tenant": "A"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"user": "a\x00"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"arguments_json": '{"name": 7}'}, grpc.StatusCode.INVALID_ARGUMENT),
    ):
        fields = {"tenant": "acme", "tool": "fake.read", **changes}
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await executor.stub.Authorize(pb.AuthorizeRequest(**fields))
        assert refused.value.code() is code, changes
    plan = pb.AuthorizePlanRequest(
        tenant="acme",
        calls=[
            pb.PlannedCall(tool="fake.drop", procedure="hr/leaver"),
            pb.PlannedCall(tool="fake.drop"),
            pb.PlannedCall(tool="fake.nothing"),
            pb.PlannedCall(tool="fake.create", arguments_json='{"name": "${ .x }"}', unknown=["/name"]),
        ],
    )
    answers = await executor.stub.AuthorizePlan(plan)
    assert [answer.verdict for answer in answers.calls] == [ALLOWED, DENIED, DEPENDS, ALLOWED]
    refusal = (await executor.execute("drop")).error
    assert refusal.kind == pb.ERROR_KIND_NOT_PERMITTED and "starter.own-systems" in refusal.message
    assert executor.world.effects == []


PLAN = """document: {dsl: '1.0.3', namespace: hr, name: plan, version: '1.0.0'}
use: {secrets: [fake-token, desk]}
do:
  - own: {call: fake.create, with: {name: a, token: '${ $secrets.desk }'}}
  - open: {call: fake.create, with: {name: b, token: '${ .token }'}}
  - settings: {call: fake.create, with: {name: c, token: 'Bearer ${ $secrets["fake-token"] }'}}
"""


async def test_a_plan_with_a_secret_that_its_call_may_not_have_is_refused_before_it_begins(
    executor: ExecutorProcess,
) -> None:
    source = parse(PLAN)
    calls = own_calls(source)
    answers = (await executor.stub.AuthorizePlan(question("acme", "", calls))).calls
    assert [answer.verdict for answer in answers] == [ALLOWED, ALLOWED, DENIED]
    (fault,) = denials(source, calls, answers)
    assert (fault.pointer, fault.line) == ("/do/2/settings", 6)
    # As the step would be.
    request = pb.ExecuteRequest(
        tenant="acme",
        tool="fake.create",
        arguments_json=json.dumps({"name": "c", "token": "Bearer \u27e6n0nce:fake-token\u27e7"}),
        idempotency_key="k",
        origin=pb.Origin(procedure="hr/plan"),
        secrets=pb.SecretMarks(nonce="n0nce", names=["fake-token", "desk"]),
    )
    refused = (await executor.stub.Execute(request)).observation.error
    assert fault.message == refused.message
    assert executor.world.effects == []
    by_hand = pb.AuthorizeRequest(
        tenant="acme", tool="fake.create", procedure="hr/plan", secrets=pb.PlannedSecrets(names=["fake-token"])
    )
    assert (await executor.stub.Authorize(by_hand)).explanation == refused.message
    by_hand.secrets.names[:] = ["desk"]
    assert (await executor.stub.Authorize(by_hand)).verdict == ALLOWED


async def test_policies_that_cannot_be_used_keep_it_from_starting(tmp_path: Path) -> None:
    (tmp_path / "wrong.cedar").write_text("permit(")
    (tmp_path / "connectors.yaml").write_text("{}")
    settings = {
        "FACTOTUM_POLICIES": f'["{tmp_path}"]',
        "FACTOTUM_CONNECTORS": '["tests.support.tools"]',
        "FACTOTUM_CONNECTORS_FILE": str(tmp_path / "connectors.yaml"),
        "FACTOTUM_LEDGER_PATH": str(tmp_path / "ledger.sqlite"),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "factotum.tool_executor.main"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings},
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode not in (0, None)
    assert b"wrong.cedar:1: unexpected end of input" in said
