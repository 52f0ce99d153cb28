"""kill -9 of the tool executor between an effect and its ledger entry: once, or a person is asked."""

from __future__ import annotations

import asyncio
import signal
import time

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from tests.support.executor_process import LEASE_SECONDS, ExecutorProcess


async def killed_after_the_effect(executor: ExecutorProcess, tool: str) -> None:
    executor.world.script("kill")
    with pytest.raises(grpc.aio.AioRpcError):
        await executor.execute(tool)
    assert await executor.ended() == -signal.SIGKILL
    assert len(executor.world.effects) == 1
    await executor.start()


async def state(executor: ExecutorProcess) -> tuple[pb.EffectState, int]:
    (effect,) = (await executor.stub.ListEffects(pb.ListEffectsRequest(tenant="acme"))).effects
    return effect.state, effect.attempts


async def test_where_the_system_can_be_asked(executor: ExecutorProcess) -> None:
    await killed_after_the_effect(executor, "create")
    started = time.monotonic()
    observation = await executor.insist("create")
    assert time.monotonic() - started < LEASE_SECONDS + 1
    assert observation.output_json == '{"id":"acme-0","name":"ada"}'
    assert len(executor.world.effects) == 1
    assert await state(executor) == (pb.EFFECT_STATE_DONE, 2)


async def test_where_doing_it_again_changes_nothing(executor: ExecutorProcess) -> None:
    await killed_after_the_effect(executor, "put")
    assert (await executor.insist("put")).output_json
    assert await state(executor) == (pb.EFFECT_STATE_DONE, 2)


@pytest.mark.parametrize(("happened", "effects"), [(True, 1), (False, 2)])
async def test_where_nobody_can_be_asked(executor: ExecutorProcess, happened: bool, effects: int) -> None:
    await killed_after_the_effect(executor, "send")
    for _ in range(2):
        assert (await executor.insist("send")).error.kind == pb.ERROR_KIND_AMBIGUOUS
    assert len(executor.world.effects) == 1
    await executor.stub.ResolveEffect(
        pb.ResolveEffectRequest(tenant="acme", idempotency_key="run:/do/0/x:0", happened=happened)
    )
    answer = await executor.execute("send")
    assert (answer.output_json, answer.replayed) == (
        ('{"id":"receipt of acme run:/do/0/x:0","name":"ada"}', True)
        if happened
        else ('{"id":"acme-1","name":"ada"}', False)
    )
    assert len(executor.world.effects) == effects


async def test_a_crash_before_the_effect_is_made_up_for(executor: ExecutorProcess) -> None:
    executor.world.script("slow")
    call = asyncio.ensure_future(executor.execute("create"))
    await asyncio.sleep(0.15)
    assert executor.process is not None
    executor.process.kill()
    await asyncio.gather(call, return_exceptions=True)
    await executor.ended()
    assert executor.world.effects == []
    await executor.start()
    assert (await executor.insist("create")).output_json
    assert len(executor.world.effects) == 1


async def test_sigterm_lets_a_call_end(executor: ExecutorProcess) -> None:
    executor.world.script("slow")
    call = asyncio.ensure_future(executor.execute("send"))
    await asyncio.sleep(0.15)
    assert await executor.stop() == 0
    assert (await call).output_json
    await executor.start()
    assert (await executor.execute("send")).replayed
