"""The embedder that the settings choose, and the one that a store's vectors were made by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from factotum.memory.embedders.minilm import ModelMissing, Precision
from factotum.memory.embedders.onnx import Embedder as MiniLm
from factotum.memory.embedders.openai import OpenAIEmbedder
from factotum.memory.embedders.port import Embedder
from factotum.memory.settings import EmbeddingSettings, OpenAIEmbeddingSettings

log = structlog.get_logger(__name__)


def chosen(settings: EmbeddingSettings, *, api_key: str, now: Callable[[], datetime]) -> Embedder:
    """Not entered yet. The key is that of the endpoint; empty for another kind."""
    if settings.kind == "openai":
        assert settings.openai is not None, "checked by the settings"
        return OpenAIEmbedder(settings.openai, api_key, now=now)
    return _minilm(settings, settings.precision)


async def with_fingerprint(
    fingerprint: str,
    settings: EmbeddingSettings,
    endpoints: Sequence[tuple[OpenAIEmbeddingSettings, str]],
    *,
    now: Callable[[], datetime],
) -> Embedder | None:
    """The embedder of this fingerprint, entered; None where it is not one of the packaged model nor of the endpoints,
    which are given with their keys, or where it cannot be made now."""
    made: list[Embedder] = [OpenAIEmbedder(endpoint, key, now=now) for endpoint, key in endpoints]
    made += [_minilm(settings, each) for each in Precision if fingerprint.startswith(f"minilm-l6-v2/{each}/")]
    for embedder in made:
        try:
            await embedder.__aenter__()
        except (ModelMissing, OSError) as error:
            log.warning("the embedder of before cannot be made", embedder=fingerprint, reason=str(error))
            continue
        if embedder.fingerprint == fingerprint:
            return embedder
        await embedder.__aexit__(None, None, None)
    return None


def _minilm(settings: EmbeddingSettings, precision: Precision) -> MiniLm:
    return MiniLm(settings.cache_dir, precision=precision, threads=settings.threads, batch_tokens=settings.batch_tokens)
