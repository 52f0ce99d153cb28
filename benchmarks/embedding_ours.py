"""The memory's embedder as a side of `benchmarks.embedding`: FOLDER PRECISION."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.embedding_side import take_turns
from factotum.memory.embedders.minilm import Precision
from factotum.memory.embedders.onnx import Embedder
from factotum.memory.settings import EmbeddingSettings

if __name__ == "__main__":
    settings = EmbeddingSettings()
    embedder = Embedder(
        settings.cache_dir,
        precision=Precision(sys.argv[2]),
        threads=settings.threads,
        batch_tokens=settings.batch_tokens,
    )
    with asyncio.Runner() as runner:
        runner.run(embedder.__aenter__())
        take_turns(
            lambda texts: runner.run(embedder.embed(texts)),
            lambda text: runner.run(embedder.embed_query(text)),
            Path(sys.argv[1]),
        )
        runner.run(embedder.__aexit__(None, None, None))
