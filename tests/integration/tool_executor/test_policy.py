"""Permission over the wire, by the starter policy; an executor does not start with policies that cannot be used."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
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
