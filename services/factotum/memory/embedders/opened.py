"""The embedder that the settings choose."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from factotum.memory.embedders.onnx import Embedder as MiniLm
from factotum.memory.embedders.openai import OpenAIEmbedder
from factotum.memory.embedders.port import Embedder
from factotum.memory.settings import EmbeddingSettings


def chosen(settings: EmbeddingSettings, *, api_key: str, now: Callable[[], datetime]) -> Embedder:
    """Not entered yet. The key is that of the endpoint; empty for another kind."""
    if settings.kind == "openai":
        assert settings.openai is not None, "checked by the settings"
        return OpenAIEmbedder(settings.openai, api_key, now=now)
    return MiniLm(
        settings.cache_dir,
        precision=settings.precision,
        threads=settings.threads,
        batch_tokens=settings.batch_tokens,
    )
