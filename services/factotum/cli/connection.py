"""Where the parts of a running Factotum are, and how to speak to them.

An address comes from the environment (`FACTOTUM_PLANNER_ADDRESS`, …), for a Factotum that runs
elsewhere, or else from the local stack of the data directory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from factotum.api.memory.v1 import memory_pb2_grpc
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.api.tools.v1 import tools_pb2_grpc
from factotum.cli.errors import BadInput, CommandError, Refused, StackNotRunning, TimedOut
from factotum.dev import state
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import MAX_DOCUMENT_BYTES
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.files import SecretFiles

ADVICE = "start it with `factotum dev`"
# Seconds that one unary request may take.
REQUEST_SECONDS = 15.0

# What each part's address is listed under in the stack's state.
PURPOSES = {
    "gateway": "http",
    "planner": "grpc",
    "tool-executor": "grpc",
    "memory": "grpc",
    "kafka": "bootstrap",
    "traces": "http",
}

T = TypeVar("T")


class Connection:
    """The parts of one Factotum for one tenant.

    Args:
        data: folder of the local stack.
        environment: as `os.environ`.
    """

    def __init__(self, data: Path, tenant: str, environment: Mapping[str, str]) -> None:
        self.data = data
        self.tenant = tenant
        self._environment = environment

    def address(self, part: str) -> str:
        """Of planner, tool-executor, memory and kafka `host:port`; of gateway and traces a base URL.

        Raises `StackNotRunning`.
        """
        given = self._environment.get(f"FACTOTUM_{part.upper().replace('-', '_')}_ADDRESS", "")
        if given:
            return given.rstrip("/")
        try:
            return self.stack().address(part, PURPOSES[part])
        except state.NoStack as error:
            raise StackNotRunning(str(error)) from error

    def has(self, part: str) -> bool:
        """Whether an address of the part is known; it need not answer."""
        try:
            self.address(part)
        except StackNotRunning:
            return False
        return True

    def stack(self) -> state.StackState:
        """The local stack. Raises `StackNotRunning`."""
        try:
            return state.running(self.data)
        except state.NoStack as error:
            raise StackNotRunning(str(error)) from error

    def secret(self, name: str) -> str:
        """A secret of the tenant in the local stack. Raises `StackNotRunning`, `CommandError`."""
        try:
            return SecretFiles(self.stack().secrets).read(self.tenant, name)
        except (UnknownSecret, SecretsUnavailable) as error:
            raise CommandError(str(error)) from error

    def gateway(self) -> tuple[str, str]:
        """The gateway's base URL and the tenant's bearer token."""
        url = self._environment.get("FACTOTUM_GATEWAY_URL", "").rstrip("/") or self.address("gateway")
        return url, self._environment.get("FACTOTUM_TOKEN", "") or self.secret("events-token")

    @asynccontextmanager
    async def planner(self) -> AsyncIterator[planner_pb2_grpc.PlannerServiceAsyncStub]:
        with answering("planner"):
            async with channel(self.address("planner")) as opened:
                yield planner_pb2_grpc.PlannerServiceStub(opened)

    @asynccontextmanager
    async def tools(self) -> AsyncIterator[tools_pb2_grpc.ToolExecutorServiceAsyncStub]:
        with answering("tool-executor"):
            async with channel(self.address("tool-executor"), max_message_bytes=MAX_DOCUMENT_BYTES) as opened:
                yield tools_pb2_grpc.ToolExecutorServiceStub(opened)

    @asynccontextmanager
    async def memory(self) -> AsyncIterator[memory_pb2_grpc.MemoryServiceAsyncStub]:
        with answering("memory"):
            async with channel(self.address("memory")) as opened:
                yield memory_pb2_grpc.MemoryServiceStub(opened)


@contextmanager
def answering(part: str) -> Iterator[None]:
    """Turns a gRPC status into a sentence that names the part."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise translated(part, error) from error


def translated(part: str, error: grpc.aio.AioRpcError) -> CommandError:
    details = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.UNAVAILABLE if "connect" in details.lower() or not details:
            return StackNotRunning(f"the {part} does not answer: {ADVICE}")
        case grpc.StatusCode.UNAVAILABLE:
            return StackNotRunning(f"the {part} is not available ({details}): `factotum dev status` shows what runs")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOut(f"the {part} did not answer in time")
        case grpc.StatusCode.INVALID_ARGUMENT:
            return BadInput(details)
        case (
            grpc.StatusCode.NOT_FOUND
            | grpc.StatusCode.FAILED_PRECONDITION
            | grpc.StatusCode.ALREADY_EXISTS
            | grpc.StatusCode.PERMISSION_DENIED
        ):
            return Refused(details)
        case code:
            return CommandError(f"the {part} answered {code.name}: {details}")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs one command's work to its end."""
    return asyncio.run(work)
