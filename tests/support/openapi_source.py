"""Tools of an OpenAPI document, and an executor that calls them for the tenant acme."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from factotum.sdk.spec import ToolSpec
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.sources.openapi.config import OpenapiConfig
from factotum.tool_executor.sources.openapi.source import OpenapiSource
from factotum.tool_executor.sources.source import Offer, Surroundings
from tests.support.composition import catalog_of, executor_of
from tests.support.system_calls import SystemCalls, held


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


class OpenapiBench(SystemCalls):
    def __init__(self, offer: Offer, executor: Executor) -> None:
        super().__init__(executor, offer.connector.system)
        self.offer = offer


@asynccontextmanager
async def openapi_bench(offer: Offer, folder: Path, **secrets: str) -> AsyncIterator[OpenapiBench]:
    catalog = catalog_of()
    catalog.put("acme", offer)
    async with SqliteLedger(folder / "ledger.sqlite", ambiguous_retry_seconds=5.0) as ledger:
        executor = executor_of(catalog, ledger, secrets=held(folder, secrets))
        yield OpenapiBench(offer, executor)
        await executor.drained()
