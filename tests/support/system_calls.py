"""Calls of one system's tools, for the tenant acme."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

from factotum.sdk.errors import ToolError
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor


class SystemCalls:
    def __init__(self, executor: Executor, system: str) -> None:
        self.executor = executor
        self.system = system
        self._numbers = count(1)

    async def call(self, tool: str, *, key: str = "", settle: bool = False, **arguments: Any) -> Answer:
        """An answer; a call without a key is another one each time."""
        return await self.executor.execute(
            tenant="acme",
            tool=f"{self.system}.{tool}",
            arguments_json=json.dumps(arguments),
            key=key or f"run:/do/{next(self._numbers)}",
            origin=Origin(run_id="run", step="/do/0/x"),
            settle=settle,
        )

    async def output(self, tool: str, **arguments: Any) -> Any:
        answer = await self.call(tool, **arguments)
        assert answer.error is None, answer.error
        return json.loads(answer.output_json or "null")

    async def error(self, tool: str, **arguments: Any) -> ToolError:
        answer = await self.call(tool, **arguments)
        assert answer.error is not None, answer.output_json
        return answer.error


def held(folder: Path, secrets: dict[str, str]) -> Path:
    """A folder of secrets in which these, by name, are the tenant acme's."""
    place = folder / "secrets" / "acme"
    place.mkdir(parents=True, exist_ok=True)
    for name, value in secrets.items():
        (place / name).write_text(value)
    return folder / "secrets"
