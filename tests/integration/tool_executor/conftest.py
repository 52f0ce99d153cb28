"""A tool-executor process and a Kafka for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.executor_process import ExecutorProcess
from tests.support.kafka import embedded_kafka


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    with embedded_kafka() as bootstrap_servers:
        yield bootstrap_servers


@pytest.fixture
async def executor(tmp_path: Path, kafka: str) -> AsyncIterator[ExecutorProcess]:
    process = ExecutorProcess(tmp_path, kafka)
    await process.start()
    yield process
    await process.close()
