"""Text to vectors: all-MiniLM-L6-v2 on ONNX Runtime, without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from factotum.memory.embedders import minilm

# What the model was trained on; the rest of a longer text is not embedded.
MAX_TOKENS = 256


class Embedder:
    """Embeds texts in a thread of its own, so that the event loop stays free. An async context manager.

    Entering builds the graph into `cache_dir` if it is not there yet (seconds, once).

    Args:
        threads: CPU threads of one computation.
        batch_size: texts in one computation.
    """

    def __init__(self, cache_dir: Path, *, threads: int = 2, batch_size: int = 32) -> None:
        self._cache_dir = cache_dir
        self._threads = threads
        self._batch_size = batch_size
        self._executor = ThreadPoolExecutor(1, "embedding")
        self._session: onnxruntime.InferenceSession | None = None
        self._tokenizer: Tokenizer | None = None

    async def __aenter__(self) -> Self:
        """Raises `ModelMissing`, or `OSError` if the cache cannot be written."""
        await asyncio.get_running_loop().run_in_executor(self._executor, self._load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row a text: float32 [len(texts), 384], each of length one. The rows do not depend on each other."""
        result = np.empty((len(texts), minilm.DIMENSION), np.float32)
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._executor, self._tokens, texts)
        # Texts of like length side by side: less padding is multiplied.
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        for start in range(0, len(order), self._batch_size):
            # A turn of its own for each computation: a query need not wait for a whole long batch.
            chosen = order[start : start + self._batch_size]
            result[chosen] = await loop.run_in_executor(
                self._executor, self._compute, [tokens[index] for index in chosen]
            )
        return result

    def _load(self) -> None:
        files = minilm.packaged_files()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Threads that spin between computations would take the CPU from the other processes here.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            minilm.cached_graph(files.weights, self._cache_dir), options, providers=["CPUExecutionProvider"]
        )
        tokenizer = Tokenizer.from_file(str(files.tokenizer))
        tokenizer.enable_truncation(MAX_TOKENS)
        tokenizer.no_padding()
        self._tokenizer = tokenizer

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        assert self._tokenizer is not None, "not entered"
        return [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]

    def _compute(self, tokens: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        assert self._session is not None, "not entered"
        ids = np.zeros((len(tokens), max(map(len, tokens))), np.int64)
        mask = np.zeros_like(ids)
        for row, sequence in enumerate(tokens):
            ids[row, : len(sequence)] = sequence
            mask[row, : len(sequence)] = 1
        (vectors,) = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})
        return np.asarray(vectors, np.float32)
