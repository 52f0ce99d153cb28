"""A real tool-executor process over the fake connector, which can be killed and started again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.runtime import grpc_client
from factotum.tool_executor.grpc import SERVICE
from tests.support.tool_calls import closed_port
from tests.support.tools import World

ROOT = Path(__file__).parents[2]
LEASE_SECONDS = 1.0


class ExecutorProcess:
    """A tool executor with its state in one folder.

    Args:
        connector: a module of a connector in place of the fake one, and its settings by its system.
        environment: beside what is set here.
        program: the module that is run.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap_servers: str,
        *,
        connector: tuple[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        program: str = "factotum.tool_executor.main",
    ) -> None:
        self.folder = folder
        self.bootstrap_servers = bootstrap_servers
        self.world = World(folder)
        self.port = closed_port()
        self.process: asyncio.subprocess.Process | None = None
        # Beside the settings that every test needs, from the next start on.
        self.environment: dict[str, str] = {}
        self.channel = grpc_client.channel(f"127.0.0.1:{self.port}")
        self.stub = tools_pb2_grpc.ToolExecutorServiceStub(self.channel)
        self.health = health_pb2_grpc.HealthStub(self.channel)
        self._module, settings = connector or ("tests.support.tools", {"fake": {"world": str(folder)}})
        self._environment = dict(environment or {})
        self._program = program
        tenants = {"acme": settings, "globex": settings}
        (folder / "connectors.yaml").write_text(json.dumps({"tenants": tenants}))

    async def start(self, *, ready: bool = True) -> None:
        """Returns when it listens, and where it is to be `ready` when it says that it is."""
        environment = {
            "FACTOTUM_GRPC__PORT": str(self.port),
            "FACTOTUM_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "FACTOTUM_KAFKA__PUBLISH_TIMEOUT_SECONDS": "2",
            "FACTOTUM_CONNECTORS": json.dumps([self._module]),
            "FACTOTUM_CONNECTORS_FILE": str(self.folder / "connectors.yaml"),
            "FACTOTUM_LEDGER_PATH": str(self.folder / "ledger.sqlite"),
            "FACTOTUM_LEASE_SECONDS": str(LEASE_SECONDS),
            "FACTOTUM_SECRETS__DIRECTORY": str(self.folder / "secrets"),
            **self._environment,
        }
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self._program),
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": f"{ROOT / 'services'}:{ROOT}",
                    **environment,
                    **self.environment,
                },
                cwd=ROOT,
                stderr=log,
            )
        async with asyncio.timeout(20):
            await self.channel.channel_ready()
            while ready and not await self.is_ready():
                await asyncio.sleep(0.02)

    async def is_ready(self) -> bool:
        """What it says of its health."""
        answer = await self.health.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=5)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    async def ended(self) -> int:
        assert self.process is not None
        async with asyncio.timeout(15):
            return await self.process.wait()

    async def stop(self) -> int:
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.terminate()
        return await self.ended()

    async def close(self) -> None:
        await self.channel.close()
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def execute(
        self,
        tool: str,
        key: str = "run:/do/0/x:0",
        arguments: str = '{"name":"ada"}',
        tenant: str = "acme",
        traceparent: str = "",
        settle: bool = False,
    ) -> pb.Observation:
        request = pb.ExecuteRequest(
            tenant=tenant,
            tool=f"fake.{tool}",
            arguments_json=arguments,
            idempotency_key=key,
            settle=settle,
            origin=pb.Origin(run_id="run", step="/do/0/x"),
        )
        metadata = (("traceparent", traceparent),) if traceparent else ()
        response = await self.stub.Execute(request, timeout=20, metadata=metadata)
        assert isinstance(response, pb.ExecuteResponse)
        return response.observation

    async def insist(self, tool: str, *, seconds: float = 10.0) -> pb.Observation:
        """As an activity does: again until the error is not `unavailable`."""
        async with asyncio.timeout(seconds):
            while True:
                with suppress(grpc.aio.AioRpcError):
                    observation = await self.execute(tool)
                    if observation.error.kind != pb.ERROR_KIND_UNAVAILABLE:
                        return observation
                await asyncio.sleep(0.1)
