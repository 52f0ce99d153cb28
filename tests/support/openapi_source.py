"""Tools of an OpenAPI document, and an executor that calls them for the tenant acme."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from factotum.sdk.errors import ToolError
from factotum.sdk.spec import ToolSpec
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.sources.openapi.config import OpenapiConfig
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import Offer, Surroundings
from tests.support.composition import catalog_of, executor_of


async def _no_secret(reference: str) -> str:
    raise AssertionError(reference)


SURROUNDINGS = Surroundings(tenant="acme", system="things", secret=_no_secret, seconds=10)


def offered(document: Any, system: str = "things", **config: Any) -> Offer:
    """The tools of a document that was read; all operations unless some are named."""
    given = OpenapiConfig.model_validate({"operations": ["**"], **config})
    return OpenapiSource().offer(system, given, json.dumps(document).encode())


def specs(offer: Offer) -> dict[str, ToolSpec]:
    """By name, without the system's."""
    return {name.partition(".")[2]: tool.spec for name, tool in offer.connector.tools.items()}


class OpenapiBench:
    def __init__(self, offer: Offer, executor: Executor) -> None:
        self.offer = offer
        self.executor = executor
        self._numbers = count()

    async def call(self, tool: str, *, key: str = "", settle: bool = False, **arguments: Any) -> Answer:
        """An answer; a call without a key is another one each time."""
        return await self.executor.execute(
            tenant="acme",
            tool=f"{self.offer.connector.system}.{tool}",
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


@asynccontextmanager
async def openapi_bench(offer: Offer, folder: Path, **secrets: str) -> AsyncIterator[OpenapiBench]:
    held = folder / "secrets" / "acme"
    held.mkdir(parents=True, exist_ok=True)
    for name, value in secrets.items():
        (held / name).write_text(value)
    catalog = catalog_of()
    catalog.put("acme", offer)
    async with SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger:
        executor = executor_of(catalog, ledger, secrets=folder / "secrets")
        yield OpenapiBench(offer, executor)
        await executor.drained()
