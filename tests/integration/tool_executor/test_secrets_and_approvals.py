"""Marks and approvals come over the wire; http.request in a real executor keeps secrets and effects apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.connectors.protocols import http
from factotum.connectors.protocols.http import HttpSettings
from factotum.sdk.approval import call_sha256
from factotum.sdk.errors import Ambiguous, NotFound, Unavailable
from factotum.tool_executor.calls import Answer, Origin, SecretMarks
from tests.support import planted
from tests.support.composition import catalog_of
from tests.support.executor_process import ExecutorProcess
from tests.support.pet_store import pet_store
from tests.support.tool_executor import Bench, bench

NAME = {"name": "ada"}


async def test_the_wire_carries_marks_and_approvals(executor: ExecutorProcess) -> None:
    async def execute(key: str, arguments: dict[str, Any], **extra: Any) -> pb.Observation:
        request = pb.ExecuteRequest(
            tenant="acme", tool="fake.create", arguments_json=json.dumps(arguments), idempotency_key=key, **extra
        )
        answer: pb.Observation = (await executor.stub.Execute(request, timeout=20)).observation
        return answer

    marked = {**NAME, "token": "⟦n:gone⟧"}
    found = await execute("a", marked, secrets=pb.SecretMarks(nonce="n", names=["gone"]))
    assert (found.error.kind, "'gone'" in found.error.message) == (pb.ERROR_KIND_NOT_PERMITTED, True)
    assert not (await execute("b", marked)).HasField("error")
    found = await execute("c", NAME, approval=pb.Approval(call_sha256="0" * 64, by=["eve"]))
    assert found.error.kind == pb.ERROR_KIND_NOT_PERMITTED
    sha256 = call_sha256(tenant="acme", tool="fake.create", arguments=NAME)
    assert not (await execute("c", NAME, approval=pb.Approval(call_sha256=sha256, by=["ada"]))).HasField("error")


async def test_http_calls_in_an_executor(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets" / "acme"
    secrets.mkdir(parents=True)
    (secrets / "apiToken").write_text("hunter2-hunter2")
    async with pet_store() as store, bench(tmp_path) as b:
        settings = HttpSettings(allow=[store.url])
        b.restarted(catalog_of(http.connector, settings={("acme", "http"): settings}))
        token = {"Authorization": "Bearer ⟦n:apiToken⟧"}

        echoed = await request(b, "a", "post", f"{store.url}/echo", headers=token)
        assert store.requests[-1].headers["authorization"] == "Bearer hunter2-hunter2"
        assert "Bearer ***" in (echoed.output_json or "")
        kept = b"".join(planted.files(tmp_path, without=["secrets"]).values())
        assert b"hunter2" not in kept
        assert b"n:apiToken" in kept

        read = await request(b, "", "get", f"{store.url}/v2/pet/9")
        assert isinstance(read.error, NotFound)
        assert (read.error.status, read.effect_possible) == (404, False)
        assert len(await b.ledger.entries("acme", states=[], limit=10, run_id="")) == 1  # the POST's

        for method, second in (("post", Ambiguous), ("put", Unavailable)):
            first = await request(b, method, method, f"{store.url}/status/503")
            assert isinstance(first.error, Unavailable)
            assert (first.error.status, first.effect_possible) == (503, True)
            assert isinstance((await request(b, method, method, f"{store.url}/status/503")).error, second)


async def request(b: Bench, key: str, method: str, endpoint: str, **arguments: Any) -> Answer:
    return await b.executor.execute(
        tenant="acme",
        tool="http.request",
        arguments_json=json.dumps({"method": method, "endpoint": endpoint, **arguments}),
        key=key,
        origin=Origin(run_id="run"),
        secrets=SecretMarks("n", frozenset({"apiToken"})),
    )
