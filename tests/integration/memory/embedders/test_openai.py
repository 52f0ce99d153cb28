"""The endpoint's client against a server that checks each request, and against what no good server does."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

import numpy as np
import pytest
from starlette.responses import JSONResponse, Response

from factotum.memory.embedders.onnx import Embedder as MiniLm
from factotum.memory.embedders.openai import OpenAIEmbedder
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable
from factotum.memory.settings import OpenAIEmbeddingSettings
from factotum.runtime import clock
from tests.support.embedding_server import KEY, EmbeddingServer, answer

TEXTS = [f"text number {number}" for number in range(10)]


async def test_vectors_stand_in_the_order_of_the_texts(remote: OpenAIEmbedder, full: MiniLm) -> None:
    assert np.abs(await remote.embed(TEXTS) - await full.embed(TEXTS)).max() < 1e-5


async def test_a_request_holds_so_many_texts(remote: OpenAIEmbedder, endpoint: EmbeddingServer) -> None:
    await remote.embed(TEXTS)
    assert sorted(len(body["input"]) for body in endpoint.requests) == [2, 4, 4]
    assert all("dimensions" not in body for body in endpoint.requests)


async def test_shorter_vectors_are_asked_for(settings: OpenAIEmbeddingSettings, endpoint: EmbeddingServer) -> None:
    shorter = settings.model_copy(update={"dimension": 64, "shorten": True})
    async with OpenAIEmbedder(shorter, KEY, now=clock.now) as remote:
        vectors = await remote.embed(TEXTS[:2])
        assert remote.fingerprint.endswith("/all-minilm/64")
    assert vectors.shape == (2, 64)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5
    assert endpoint.requests[0]["dimensions"] == 64


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_what_passes_is_tried_again(remote: OpenAIEmbedder, endpoint: EmbeddingServer, status: int) -> None:
    endpoint.faults = [Response("later", status, {"Retry-After": "0"})] * 2
    assert (await remote.embed(TEXTS[:1])).shape == (1, 384)
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    "wait", [lambda: "2", lambda: f"{datetime.now(UTC) + timedelta(seconds=3):%a, %d %b %Y %H:%M:%S GMT}"]
)
async def test_the_wait_that_is_named_is_kept(
    remote: OpenAIEmbedder, endpoint: EmbeddingServer, wait: Callable[[], str]
) -> None:
    began = monotonic()
    endpoint.faults = [Response("slow down", 429, {"Retry-After": wait()})]
    await remote.embed_query("hello")
    assert monotonic() - began > 1.5  # without it, at most 1.2


async def test_a_wait_has_its_bound(settings: OpenAIEmbeddingSettings, endpoint: EmbeddingServer) -> None:
    endpoint.faults = [Response("come back tomorrow", 429, {"Retry-After": "86400"})]
    bounded = settings.model_copy(update={"longest_wait_seconds": 0.05})
    async with OpenAIEmbedder(bounded, KEY, now=clock.now) as remote, asyncio.timeout(10):
        await remote.embed_query("hello")


async def test_attempts_end(remote: OpenAIEmbedder, endpoint: EmbeddingServer) -> None:
    endpoint.faults = [Response("overloaded", 503, {"Retry-After": "0"})] * 9
    with pytest.raises(EmbedderUnavailable, match="503: overloaded"):
        await remote.embed_query("hello")
    assert len(endpoint.requests) == 3


async def test_an_endpoint_that_is_not_there(settings: OpenAIEmbeddingSettings) -> None:
    away = settings.model_copy(update={"base_url": "http://127.0.0.1:9/v1", "attempts": 1})
    async with OpenAIEmbedder(away, KEY, now=clock.now) as remote:
        with pytest.raises(EmbedderUnavailable, match="do not answer"):
            await remote.embed(TEXTS)


async def test_a_wrong_key_is_not_tried_again_and_not_told(
    settings: OpenAIEmbeddingSettings, endpoint: EmbeddingServer
) -> None:
    async with OpenAIEmbedder(settings, "sk-wrong", now=clock.now) as remote:
        with pytest.raises(EmbedderUnavailable, match="401") as caught:
            await remote.embed_query("hello")
    assert len(endpoint.requests) == 1
    assert "sk-wrong" not in str(caught.value)


async def test_a_text_that_is_not_taken(remote: OpenAIEmbedder, endpoint: EmbeddingServer) -> None:
    endpoint.refused = "number 7"
    with pytest.raises(EmbedderRefused, match="too long"):
        await remote.embed(TEXTS)


async def test_settings_that_make_every_text_refused_are_no_fault_of_the_texts(
    settings: OpenAIEmbeddingSettings, endpoint: EmbeddingServer
) -> None:
    async with OpenAIEmbedder(settings.model_copy(update={"model": "no-such"}), KEY, now=clock.now) as remote:
        with pytest.raises(EmbedderUnavailable, match="every text"):
            await remote.embed_query("hello")


GOOD = [0.6, 0.8] + [0.0] * 382


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (answer([GOOD]), "1 vectors for 2"),
        (answer([GOOD, GOOD, GOOD]), "3 vectors for 2"),
        ({"data": [{"index": 0, "embedding": GOOD}, {"index": 0, "embedding": GOOD}]}, "1 vectors for 2"),
        ({"data": [{"index": 0, "embedding": GOOD}, {"index": 2, "embedding": GOOD}]}, "or for others"),
        (answer([GOOD, GOOD[:200]]), "vectors of 200, the settings say 384"),
        (answer([GOOD, [0.0] * 384]), "zeros"),
        ({"data": "nothing"}, "none"),
        ({"error": "in the body of a success"}, "none"),
    ],
)
async def test_an_answer_that_is_none(
    remote: OpenAIEmbedder, endpoint: EmbeddingServer, body: dict[str, object], words: str
) -> None:
    endpoint.faults = [JSONResponse(body)]
    with pytest.raises(EmbedderUnavailable, match=words):
        await remote.embed(TEXTS[:2])


@pytest.mark.parametrize("text", ["<html>a proxy</html>", '{"data": [{"index": 0, "embedding": [NaN]}]}'])
async def test_an_answer_that_is_no_json(remote: OpenAIEmbedder, endpoint: EmbeddingServer, text: str) -> None:
    endpoint.faults = [Response(text)]
    with pytest.raises(EmbedderUnavailable, match="none"):
        await remote.embed_query("hello")
