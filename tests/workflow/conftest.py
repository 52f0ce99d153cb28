"""A Temporal server for the tests of a module, and a bench with its worker."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.client import Client

from tests.support.run_bench import Bench, run_bench
from tests.support.temporal import temporal_server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server() -> AsyncIterator[Client]:
    async with temporal_server() as environment:
        yield environment.client


@pytest_asyncio.fixture(loop_scope="session")
async def bench(server: Client) -> AsyncIterator[Bench]:
    async with run_bench(server) as made, made.worker():
        yield made
