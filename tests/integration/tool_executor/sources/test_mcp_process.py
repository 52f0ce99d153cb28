"""An MCP server of a real tool executor: it ends with it, and its tools are there again at the next start."""

from __future__ import annotations

import json
import os
from pathlib import Path

import grpc
import pytest

from factotum.api.tools.v1 import tools_pb2 as pb
from tests.support import mcp_program
from tests.support.executor_process import ExecutorProcess


async def pid(executor: ExecutorProcess) -> int:
    """The server's process id, as it says it."""
    request = pb.ExecuteRequest(tenant="acme", tool="program.pid", arguments_json="{}", idempotency_key="k")
    answer = (await executor.stub.Execute(request, timeout=20)).observation
    assert not answer.HasField("error"), answer.error
    return int(json.loads(answer.output_json)["text"])


async def test_a_server_ends_with_its_executor(executor: ExecutorProcess) -> None:
    command = ["python3", str(Path(mcp_program.__file__))]
    config = {"stdio": {"command": command, "unsandboxed": True}, "tools": ["pid"], "reads": ["pid"]}
    request = pb.AddSourceRequest(tenant="acme", system="program", kind="mcp", config_json=json.dumps(config))
    with pytest.raises(grpc.aio.AioRpcError, match="no tenant's servers may run without a sandbox"):
        await executor.stub.AddSource(request, timeout=20)
    assert await executor.stop() == 0
    executor.environment["FACTOTUM_SANDBOX__UNSANDBOXED"] = '["acme"]'
    await executor.start()
    added = await executor.stub.AddSource(request, timeout=20)
    assert list(added.tools) == ["program.pid"]
    first = await pid(executor)
    os.kill(first, 0)
    assert await executor.stop() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
    await executor.start()
    assert await pid(executor) != first
