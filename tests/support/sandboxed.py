"""An executor with a tool that runs whatever Python it is given, in the sandbox that the executor gives it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from factotum.sdk.context import ToolContext
from factotum.sdk.sandbox import SCRIPTS, Command, Limits
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from tests.support.composition import catalog_of, executor_of


class Empty(BaseModel):
    pass


class Code(BaseModel):
    """`given` is the JSON that the code finds in the variable `given`."""

    code: str
    given: dict[str, Any] = {}
    hosts: list[str] = []
    limits: Limits = Limits(seconds=10)


class Ran(BaseModel):
    code: int
    stdout: str
    stderr: str
    stopped: str
    refused: list[str]


connector = Connector("test", settings=Empty)
_PRELUDE = "import ctypes, errno, json, mmap, os, signal, socket, stat, subprocess, sys, time\n"


@connector.tool(effect=Effect.EXECUTE, idempotency=Idempotency.NATIVE, timeout_seconds=20, sandbox=True)
async def python(arguments: Code, context: ToolContext[Empty]) -> Ran:
    """Run Python."""
    text = f"{_PRELUDE}given = json.loads({json.dumps(json.dumps(arguments.given))})\n{arguments.code}"
    command = Command(["python3", "-I", "-S", f"{SCRIPTS}/code.py"], scripts={"code.py": text}, hosts=arguments.hosts)
    ended = await context.sandbox.run(command, arguments.limits)
    return Ran(
        code=ended.code,
        stdout=ended.stdout.text[:100_000],
        stderr=ended.stderr.last_lines,
        stopped=ended.stopped,
        refused=list(ended.refused),
    )


@dataclass(slots=True)
class Bench:
    executor: Executor
    keys: count[int]

    async def call(self, code: str, *, key: str = "", **more: Any) -> Answer:
        return await self.executor.execute(
            tenant="acme",
            tool="test.python",
            arguments_json=json.dumps({"code": code, **more}),
            key=key or f"key-{next(self.keys)}",
            origin=Origin(),
        )

    async def run(self, code: str, **more: Any) -> Ran:
        answer = await self.call(code, **more)
        assert answer.output_json is not None, answer.error
        return Ran.model_validate_json(answer.output_json)

    async def lives(self) -> None:
        """It answers the next call."""
        assert (await self.run("print('alive')")).stdout == "alive\n"


@asynccontextmanager
async def sandboxed_bench(folder: Path) -> AsyncIterator[Bench]:
    async with SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=1) as ledger:
        catalog = catalog_of(connector, settings={("acme", "test"): Empty()})
        made = Bench(executor_of(catalog, ledger, secrets=folder / "secrets"), count())
        yield made
        await made.executor.drained()
