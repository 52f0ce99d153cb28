"""Secrets are planted, told by a system in every way that it has, and looked for in all that the executor leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.events import topics
from tests.support import planted
from tests.support.executor_process import ExecutorProcess
from tests.support.kafka import read_all
from tests.support.scripted_http import Answer, ScriptedHttp, scripted_http

TEXT = f"{planted.CANARY} Bearer ⟦n0nce:plantedDocument⟧ ⟦n0nce:plantedLogin/password⟧"
MARKS = pb.SecretMarks(nonce="n0nce", names=["plantedDocument", "plantedLogin"])
ENDINGS = ["answer", "refuse", "raise", "hang", "cancel"]
# Where values may stand: what this test plants them in.
ALLOWED = ["secrets"]


@asynccontextmanager
async def telling(folder: Path, kafka: str) -> AsyncIterator[tuple[ExecutorProcess, ScriptedHttp]]:
    planted.plant(folder / "secrets" / "acme")
    async with scripted_http(Answer(200)) as collector:
        process = ExecutorProcess(
            folder,
            kafka,
            connector=("tests.support.tampered.planted", {"planted": {}}),
            environment={
                "FACTOTUM_TELEMETRY__OTLP_ENDPOINT": collector.url,
                "FACTOTUM_TELEMETRY__LOG_LEVEL": "DEBUG",
                "FACTOTUM_CANCEL_GRACE_SECONDS": "0.05",
            },
        )
        await process.start()
        try:
            yield process, collector
        finally:
            await process.close()


async def told(executor: ExecutorProcess, tool: str, then: str, *, user: str = "") -> pb.Observation:
    request = pb.ExecuteRequest(
        tenant="acme",
        tool=f"planted.{tool}",
        arguments_json=json.dumps({"text": TEXT, "use": "plantedLogin", "then": "hang" if then == "cancel" else then}),
        idempotency_key=f"run:/do/0/{tool}:{then}",
        origin=pb.Origin(run_id="planted-run", step=f"/do/0/{tool}", procedure="hr/planted", user=user),
        secrets=MARKS,
    )
    calling = asyncio.ensure_future(executor.stub.Execute(request, timeout=20))
    if then == "cancel":
        await asyncio.sleep(0.2)
        await executor.stub.Cancel(pb.CancelRequest(tenant="acme", idempotency_key=request.idempotency_key), timeout=5)
    observation: pb.Observation = (await calling).observation
    return observation


async def test_no_secret_is_in_anything_that_the_executor_leaves(tmp_path: Path, kafka: str) -> None:
    async with telling(tmp_path, kafka) as (executor, collector):
        answers = [await told(executor, "tell", then) for then in ENDINGS]
        answers += [await told(executor, "tell_as", then, user="ada@acme.example") for then in ENDINGS]
        answers.append(await told(executor, "tell_as", "answer"))  # for nobody
        kinds = [pb.ErrorKind.Name(answer.error.kind).removeprefix("ERROR_KIND_").lower() for answer in answers]
        ways = ["unspecified", "conflict", "failed", "unavailable", "cancelled"]
        assert kinds == [*ways, *ways, "not_permitted"]
        assert answers[0].output_json.count("***") >= 24
        effects = await executor.stub.ListEffects(pb.ListEffectsRequest(tenant="acme", limit=100), timeout=10)
        assert len(effects.effects) == len(ENDINGS)
        assert await executor.stop() == 0  # what waited to be sent, observations and spans, is sent

        events = [message for topic in topics.ALL for message in await asyncio.to_thread(read_all, kafka, topic)]
        stores = {
            **planted.files(tmp_path, without=ALLOWED),
            "kafka": b"\n".join(event.value for event in events if b"planted" in event.value),
            "traces": b"\n".join(body for _, _, _, body in collector.requests),
            "answers": b"\n".join(answer.SerializeToString() + repr(answer).encode() for answer in answers),
            "effects": effects.SerializeToString() + repr(effects).encode(),
        }
    assert planted.found(stores) == []
    # That nothing was found says something only of where it could have been.
    for store in ("kafka", "traces", "answers", "log"):
        assert planted.CANARY.encode() in stores[store], store
    kept = b"".join(content for name, content in stores.items() if "ledger.sqlite" in name)
    assert planted.CANARY.encode() in kept
    assert "⟦n0nce:plantedDocument⟧".encode() in kept
    assert stores["log"].count(b"***") > 50


@pytest.mark.parametrize("form", list(planted.written(planted.OF_SETTINGS)))
def test_a_secret_that_stands_in_a_store_is_found(form: str) -> None:
    assert planted.found({"log": b"...", "ledger": f"\x00at {form}!".encode()}) == [f"ledger: {planted.OF_SETTINGS}"]
