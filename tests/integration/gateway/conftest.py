from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.gateway import Gateway, gateway
from tests.support.kafka import embedded_kafka
from tests.support.planner_stub import PlannerStub, planner_stub


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    with embedded_kafka() as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture(scope="module")
def planner() -> PlannerStub:
    return PlannerStub()


@pytest.fixture(scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory, kafka: str, planner: PlannerStub) -> AsyncIterator[Gateway]:
    directory: Path = tmp_path_factory.mktemp("gateway")
    async with planner_stub(planner) as address, gateway(directory, kafka, address) as running:
        yield running


@pytest.fixture(scope="module")
async def client(served: Gateway) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=served.url, timeout=30) as it:
        yield it
