from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from factotum.memory.embedders.minilm import Precision
from factotum.memory.embedders.onnx import Embedder as MiniLm
from factotum.memory.embedders.openai import OpenAIEmbedder
from factotum.memory.embedders.port import Embedder
from factotum.memory.settings import OpenAIEmbeddingSettings
from factotum.runtime import clock
from tests.support.embedding_server import KEY, MODEL, EmbeddingServer, embedding_server


@pytest.fixture(scope="session")
async def full(model_cache: Path) -> AsyncIterator[MiniLm]:
    async with MiniLm(model_cache, precision=Precision.FP32) as it:
        yield it


@pytest.fixture(scope="session")
async def endpoint(full: MiniLm) -> AsyncIterator[EmbeddingServer]:
    async with embedding_server(full) as it:
        yield it


@pytest.fixture
def settings(endpoint: EmbeddingServer) -> OpenAIEmbeddingSettings:
    endpoint.faults.clear()
    endpoint.requests.clear()
    endpoint.refused = ""
    return OpenAIEmbeddingSettings(base_url=endpoint.url, model=MODEL, dimension=384, batch_size=4, attempts=3)


@pytest.fixture
async def remote(settings: OpenAIEmbeddingSettings) -> AsyncIterator[OpenAIEmbedder]:
    async with OpenAIEmbedder(settings, KEY, now=clock.now) as it:
        yield it


@pytest.fixture(params=["fp32", "int8", "endpoint"])
def every(request: pytest.FixtureRequest, full: MiniLm, embedder: MiniLm, remote: OpenAIEmbedder) -> Embedder:
    return {"fp32": full, "int8": embedder, "endpoint": remote}[request.param]
