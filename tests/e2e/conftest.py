"""One local stack for all end-to-end tests, on the embedded Kafka and again on a real one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.house import House
from tests.support import planted
from tests.support.machine import needs
from tests.support.stack import Stack
from tests.support.tampered.levers import VARIABLE

CONNECTORS = [
    *(f"tests.support.tampered.{name}" for name in ("hr", "identity", "mail", "calendar", "planted")),
    "factotum.connectors.protocols.http",
]
ROOT = Path(__file__).parents[2]


# Each on a stack of its own, side by side with the other.
KAFKAS = [
    pytest.param("embedded", marks=pytest.mark.xdist_group("embedded")),
    pytest.param("apache", marks=[pytest.mark.apache, pytest.mark.xdist_group("apache")]),
]


@pytest.fixture(scope="session", params=KAFKAS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A ready stack whose tools have levers; ended, with everything it started, after the last test on it."""
    kafka = request.param
    if kafka == "apache":
        needs("java", "mvn", what="a real Kafka")
    levers = tmp_path_factory.mktemp("levers")
    stack = Stack(tmp_path_factory.mktemp(kafka))
    environment = {
        VARIABLE: str(levers),
        "FACTOTUM_CONNECTORS": json.dumps(CONNECTORS),
        "PYTHONPATH": f"{ROOT / 'services'}:{ROOT}",
    }
    planted.plant(stack.directory / "secrets" / "acme")
    (stack.directory / "connectors.yaml").write_text(json.dumps({"tenants": {"acme": {"planted": {}}}}))
    stack.up(kafka=kafka, env=environment)
    try:
        yield House(stack, levers)
    finally:
        stack.down()


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def undisturbed(house: House) -> AsyncIterator[None]:
    """Every test begins with a ready stack and no lever set."""
    house.release_all()
    await house.ready()
    yield
    house.release_all()
