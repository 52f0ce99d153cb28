from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from factotum.api.memory.v1.memory_pb2_grpc import MemoryServiceStub
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.grpc import SERVICE_NAME
from factotum.memory.store.milvus import MemoryStore
from factotum.runtime.grpc_client import channel
from factotum.runtime.grpc_server import GrpcServer
from factotum.runtime.settings import GrpcSettings
from tests.support.embedding import default_space
from tests.support.kafka import embedded_kafka
from tests.support.keeping import servicer_on


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="session")
async def embedder(model_cache: Path) -> AsyncIterator[Embedder]:
    async with Embedder(model_cache) as it:
        yield it


@pytest.fixture(scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MemoryStore]:
    async with MemoryStore(str(tmp_path_factory.mktemp("milvus") / "memory.db"), space=default_space()) as it:
        yield it


@pytest.fixture(scope="module")
async def memory(store: MemoryStore, embedder: Embedder) -> AsyncIterator[MemoryServiceStub]:
    server = GrpcServer(GrpcSettings(port=0), [SERVICE_NAME], [servicer_on(store, embedder).register])
    await server.start()
    try:
        async with channel(f"127.0.0.1:{server.port}") as connected:
            yield MemoryServiceStub(connected)
    finally:
        await server.stop()


@pytest.fixture
def kafka() -> Iterator[str]:
    with embedded_kafka() as bootstrap_servers:
        yield bootstrap_servers
