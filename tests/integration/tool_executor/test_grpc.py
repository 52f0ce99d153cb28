"""The contract of ToolExecutorService, over the wire."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from factotum.api.tools.v1 import tools_pb2 as pb
from tests.support.executor_process import ExecutorProcess


async def refusal(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""


async def test_an_effect_and_its_replay(executor: ExecutorProcess) -> None:
    first = await executor.execute("create")
    again = await executor.execute("create")
    assert json.loads(first.output_json) == {"id": "acme-0", "name": "ada"}
    assert (first.tool, first.tool_version, first.idempotency_key) == ("fake.create", "1.0.0", "run:/do/0/x:0")
    assert first.started_at.ToDatetime() <= first.ended_at.ToDatetime()
    assert again.replayed and not first.replayed
    again.replayed = False
    assert again == first


async def test_twenty_at_once_act_once(executor: ExecutorProcess) -> None:
    executor.world.script("slow")
    observations = await asyncio.gather(*(executor.execute("send") for _ in range(20)))
    assert len(executor.world.effects) == 1
    assert {o.error.kind for o in observations if o.HasField("error")} <= {pb.ERROR_KIND_UNAVAILABLE}
    assert all(o.error.retryable and o.error.retry_after_seconds > 0 for o in observations if o.HasField("error"))


async def test_a_tools_failure_is_an_observation(executor: ExecutorProcess) -> None:
    executor.world.script("refuse", "limit")
    conflict = (await executor.execute("create")).error
    assert (conflict.kind, conflict.message) == (pb.ERROR_KIND_CONFLICT, "the system says: taken")
    limited = (await executor.execute("create")).error
    assert (limited.kind, limited.retryable, limited.retry_after_seconds) == (pb.ERROR_KIND_RATE_LIMITED, True, 7.0)
    invalid = (await executor.execute("create", "other", '{"name": "ADA"}')).error
    assert (invalid.kind, invalid.retryable) == (pb.ERROR_KIND_INVALID_ARGUMENT, False)
    assert "/name" in invalid.message and "ADA" not in invalid.message
    foreign = (await executor.execute("create", tenant="initech")).error
    assert foreign.kind == pb.ERROR_KIND_NOT_PERMITTED


async def test_calls_that_cannot_be_taken(executor: ExecutorProcess) -> None:
    invalid, not_found = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    assert await refusal(executor.execute("nothing")) == (
        not_found,
        "no connector has a tool 'fake.nothing'; `factotum tools list` shows all",
    )
    for call in (
        executor.execute("create", tenant="Acme"),
        executor.execute("create", tenant=""),
        executor.execute("create", key=""),
        executor.execute("create", key="k" * 513),
        executor.stub.ListTools(pb.ListToolsRequest(tenant="../etc")),
        executor.stub.ListEffects(pb.ListEffectsRequest(tenant="acme", limit=1001)),
        executor.stub.ListEffects(pb.ListEffectsRequest(tenant="acme", states=[0])),
        executor.stub.ListEffects(pb.ListEffectsRequest(tenant="")),
        executor.stub.ResolveEffect(
            pb.ResolveEffectRequest(tenant="acme", idempotency_key="k", happened=True, output_json="[]")
        ),
        executor.stub.ResolveEffect(
            pb.ResolveEffectRequest(tenant="acme", idempotency_key="k", happened=True, output_json="{")
        ),
    ):
        assert (await refusal(call))[0] is invalid
    for call in (
        executor.stub.DescribeTool(pb.DescribeToolRequest(tenant="acme", tool="fake.nothing")),
        executor.stub.ResolveEffect(pb.ResolveEffectRequest(tenant="acme", idempotency_key="k")),
    ):
        assert (await refusal(call))[0] is not_found
    assert executor.world.effects == []


async def test_the_catalog(executor: ExecutorProcess) -> None:
    tools = (await executor.stub.ListTools(pb.ListToolsRequest(tenant="acme"))).tools
    assert [tool.name for tool in tools] == [
        "fake.create",
        "fake.drop",
        "fake.linger",
        "fake.login",
        "fake.put",
        "fake.read",
        "fake.send",
    ]
    assert not any(tool.without_settings for tool in tools)
    # They are there for plans to be checked against, whoever has no settings of them.
    without = (await executor.stub.ListTools(pb.ListToolsRequest(tenant="nobody"))).tools
    assert len(without) == len(tools) and all(tool.without_settings for tool in without)
    described = await executor.stub.DescribeTool(pb.DescribeToolRequest(tenant="acme", tool="fake.create"))
    assert described.tool == tools[0]
    assert (tools[0].effect, tools[0].idempotency) == (pb.EFFECT_CREATE, pb.IDEMPOTENCY_RECONCILE)
    assert json.loads(tools[0].input_schema_json)["required"] == ["name"]
    assert json.loads(tools[0].output_schema_json)["required"] == ["id", "name"]


async def test_effects_are_listed_and_resolved(executor: ExecutorProcess) -> None:
    executor.world.script("lost")
    ambiguous = (await executor.execute("send")).error
    assert (ambiguous.kind, ambiguous.retryable, ambiguous.retry_after_seconds) == (pb.ERROR_KIND_AMBIGUOUS, True, 5.0)
    await executor.execute("put", "other")
    listed = await executor.stub.ListEffects(
        pb.ListEffectsRequest(tenant="acme", states=[pb.EFFECT_STATE_AMBIGUOUS], run_id="run")
    )
    (effect,) = listed.effects
    assert (effect.tool, effect.attempts, effect.reason, effect.origin.step) == (
        "fake.send",
        1,
        "no answer",
        "/do/0/x",
    )
    assert not (await executor.stub.ListEffects(pb.ListEffectsRequest(tenant="globex"))).effects
    request = pb.ResolveEffectRequest(tenant="acme", idempotency_key=effect.idempotency_key, happened=True, reason="ok")
    resolved = (await executor.stub.ResolveEffect(request)).effect
    assert (resolved.state, resolved.reason) == (pb.EFFECT_STATE_DONE, "ok")
    assert (await refusal(executor.stub.ResolveEffect(request)))[0] is grpc.StatusCode.FAILED_PRECONDITION
    answer = await executor.execute("send")
    receipt = {"id": "receipt of acme run:/do/0/x:0", "name": "ada"}
    assert (json.loads(answer.output_json), answer.replayed) == (receipt, True)


async def test_an_output_that_the_tool_could_never_give_is_refused(executor: ExecutorProcess) -> None:
    executor.world.script("ambiguous")
    await executor.execute("create")
    for output, places in (("", "/id"), ("", "/name"), ('{"id": "1"}', "/name"), ('{"id": 1, "name": "a"}', "/id")):
        code, words = await refusal(
            executor.stub.ResolveEffect(
                pb.ResolveEffectRequest(
                    tenant="acme", idempotency_key="run:/do/0/x:0", happened=True, output_json=output
                )
            )
        )
        assert code is grpc.StatusCode.INVALID_ARGUMENT and places in words and "fake.create" in words


async def test_an_error_says_whether_the_effect_may_stand(executor: ExecutorProcess) -> None:
    executor.world.script("refuse", "lost-before")
    assert not (await executor.execute("create")).error.effect_possible
    assert (await executor.execute("create")).error.effect_possible


async def test_what_became_of_an_effect(executor: ExecutorProcess) -> None:
    executor.world.script("lost")
    unknown = (await executor.execute("create", settle=True)).error
    assert (unknown.kind, unknown.retryable, unknown.effect_possible) == (pb.ERROR_KIND_NOT_DONE, False, False)
    assert executor.world.effects == []
    await executor.execute("create")
    assert json.loads((await executor.execute("create", settle=True)).output_json) == {"id": "acme-0", "name": "ada"}
    assert len(executor.world.effects) == 1


async def test_a_cancelled_call_is_settled_all_the_same(executor: ExecutorProcess) -> None:
    executor.world.script("slow")
    call = asyncio.ensure_future(executor.execute("create"))
    await asyncio.sleep(0.15)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await asyncio.sleep(0.4)
    assert (await executor.execute("create")).replayed
    assert len(executor.world.effects) == 1


async def test_health(executor: ExecutorProcess) -> None:
    health = health_pb2_grpc.HealthStub(executor.channel)
    for service in ("", "factotum.api.tools.v1.ToolExecutorService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_that_commands_have_no_control_groups_is_said_once_at_the_start(executor: ExecutorProcess) -> None:
    await executor.execute("create")
    said = (executor.folder / "log").read_text()
    assert said.count("commands have no control groups") == 1 and "ten times a second" in said
