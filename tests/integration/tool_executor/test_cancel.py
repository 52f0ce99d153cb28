"""`Cancel` over the wire."""

from __future__ import annotations

import asyncio
import json

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from tests.support.executor_process import ExecutorProcess

KEY = "run:/do/0/x:0"


async def cancel(executor: ExecutorProcess, key: str = KEY, tenant: str = "acme") -> bool:
    request = pb.CancelRequest(tenant=tenant, idempotency_key=key)
    return (await executor.stub.Cancel(request, timeout=5)).found


async def test_a_cancelled_call_is_answered_and_settled(executor: ExecutorProcess) -> None:
    assert not await cancel(executor)
    executor.world.script("hang")
    call = asyncio.ensure_future(executor.execute("linger"))
    while not executor.world.effects:
        await asyncio.sleep(0.02)
    assert not await cancel(executor, tenant="globex")
    assert await cancel(executor) and await cancel(executor)
    async with asyncio.timeout(3):
        error = (await call).error
    assert (error.kind, error.retryable, error.effect_possible) == (pb.ERROR_KIND_CANCELLED, False, True)
    (effect,) = (await executor.stub.ListEffects(pb.ListEffectsRequest(tenant="acme"))).effects
    assert effect.state == pb.EFFECT_STATE_STARTED
    settled = await executor.execute("linger", settle=True)
    assert json.loads(settled.output_json) == {"id": "acme-0", "name": "ada"}
    assert len(executor.world.effects) == 1
    assert not await cancel(executor)


async def test_a_request_that_cannot_be_taken(executor: ExecutorProcess) -> None:
    for tenant, key in (("acme", ""), ("", KEY)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await cancel(executor, key, tenant)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
