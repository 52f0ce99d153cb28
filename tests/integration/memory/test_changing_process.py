"""The memory as a process, started with another precision of the model than its records were embedded with."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from factotum.api.memory.v1.memory_pb2 import (
    KIND_DOCUMENT,
    RecallRequest,
    Record,
    ReindexRequest,
    RememberRequest,
    StatusRequest,
    StatusResponse,
)
from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.runtime.grpc_client import channel
from tests.support.memory import start_service
from tests.support.processes import free_port

RECORDS = 200
ASKED = "Where does the person of room {n} keep the spare key?"


class Asked:
    def __init__(self, memory: MemoryServiceStub) -> None:
        self._memory = memory
        self.ended = asyncio.Event()
        self.answers = 0

    async def keep(self, numbers: range) -> None:
        records = [
            Record(id=str(n), kind=KIND_DOCUMENT, text=f"The person of room {n} keeps the spare key in a drawer.")
            for n in numbers
        ]
        await self._memory.Remember(RememberRequest(tenant="acme", records=records))

    async def recall(self, n: int) -> None:
        request = RecallRequest(tenant="acme", query=ASKED.format(n=n), limit=1)
        (best,) = (await self._memory.Recall(request)).recollections
        assert best.record.id == str(n)
        assert best.why.meaning_rank >= 1, "by its meaning, too"
        self.answers += 1

    async def on_and_on(self) -> None:
        n = 0
        while not self.ended.is_set():
            await self.recall(7 * n % RECORDS)
            n += 1

    async def status(self) -> StatusResponse:
        return await self._memory.Status(StatusRequest(tenant="acme"))


@pytest.mark.slow
async def test_another_precision_is_chosen_and_every_question_is_answered(
    kafka: str, model_cache: Path, tmp_path: Path
) -> None:
    port = free_port()
    for precision in ("fp32", "int8"):
        env = {"FACTOTUM_EMBEDDING__PRECISION": precision, "TMPDIR": str(tmp_path)}
        service = await start_service(tmp_path, model_cache, kafka, port, env)
        try:
            async with channel(f"127.0.0.1:{port}") as connected:
                memory = MemoryServiceStub(connected)
                asked = Asked(memory)
                if precision == "fp32":
                    await asked.keep(range(RECORDS))
                    await asked.recall(3)
                    assert not (await asked.status()).warnings
                else:
                    status = await asked.status()
                    assert "/fp32/" in status.embedder
                    assert "it goes on serving" in status.warnings[0]
                    asking = [asyncio.create_task(asked.on_and_on()) for _ in range(2)]
                    steps = 0
                    async for progress in memory.Reindex(ReindexRequest()):
                        steps = progress.done
                        await asked.keep(range(RECORDS, RECORDS + 20))
                    during = asked.answers
                    asked.ended.set()
                    await asyncio.gather(*asking)
                    assert (steps >= RECORDS, during > 5) == (True, True)
                    status = await asked.status()
                    assert ("/int8/" in status.embedder, status.settled, list(status.warnings)) == (True, True, [])
                    await asked.recall(RECORDS + 5)
            assert await service.stop() == 0
        finally:
            await service.kill()
