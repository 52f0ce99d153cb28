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
from tokenizers import Tokenizer

from factotum.memory.embedders import minilm, tokens
from factotum.memory.embedders.minilm import Precision
from factotum.memory.embedders.port import Vectors


class Embedder:
    """`port.Embedder` by all-MiniLM-L6-v2 in this process. Its answers never fail. An async context manager.

    A vector does not depend on the texts beside it. Each thread computes a batch of its own: none waits for another,
    as the threads of one computation would after each of its layers. Queries have as many threads again, so that they
    share the CPU with a batch under way and do not stand in line behind it.

    Args:
        cache_dir: where the graph is kept; entering builds it if it is not there yet (seconds, once).
        threads: computations at a time, each on one CPU thread.
        batch_tokens: in one computation, padding included.
    """

    def __init__(
        self,
        cache_dir: Path,
        *,
        precision: Precision = Precision.INT8,
        threads: int = 2,
        batch_tokens: int = 1024,
    ) -> None:
        self._cache_dir = cache_dir
        self._precision = precision
        self._batch_tokens = batch_tokens
        self._threads = ThreadPoolExecutor(threads, "embedding")
        self._query_threads = ThreadPoolExecutor(threads, "embedding-query")
        self._session: onnxruntime.InferenceSession | None = None
        self._tokenizer: Tokenizer | None = None
        self._fingerprint = ""

    async def __aenter__(self) -> Self:
        """Raises `ModelMissing`, or `OSError` if the cache cannot be written."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._load)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for threads in (self._threads, self._query_threads):
            threads.shutdown(wait=False, cancel_futures=True)

    @property
    def fingerprint(self) -> str:
        assert self._fingerprint, "not entered"
        return self._fingerprint

    @property
    def dimension(self) -> int:
        return minilm.DIMENSION

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """One row a text: float32 [len(texts), 384], each of length one. The rows do not depend on each other."""
        return await self._embedded(self._threads, texts)

    async def embed_query(self, text: str) -> Vectors:
        (vector,) = await self._embedded(self._query_threads, [text])
        return np.asarray(vector, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Exact."""
        encodings = self._ready_tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding.ids) for encoding in encodings]

    async def _embedded(self, threads: ThreadPoolExecutor, texts: Sequence[str]) -> Vectors:
        loop = asyncio.get_running_loop()
        result = np.empty((len(texts), minilm.DIMENSION), np.float32)
        sentences = await loop.run_in_executor(threads, tokens.cut, self._ready_tokenizer, texts)

        def compute(batch: Sequence[int]) -> None:
            assert self._session is not None, "not entered"
            inputs = tokens.padded([sentences[index] for index in batch])
            (result[batch],) = self._session.run(["embedding"], inputs)

        work = [
            loop.run_in_executor(threads, compute, batch) for batch in tokens.batches(sentences, self._batch_tokens)
        ]
        try:
            await asyncio.gather(*work)
        finally:
            # Nobody waits any more for what has not begun.
            for one in work:
                one.cancel()
        return result

    @property
    def _ready_tokenizer(self) -> Tokenizer:
        assert self._tokenizer is not None, "not entered"
        return self._tokenizer

    def _load(self) -> None:
        files = minilm.packaged_files()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        path = minilm.cached_graph(files, self._precision, self._cache_dir)
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._tokenizer = tokens.tokenizer(files.tokenizer)
        self._fingerprint = minilm.fingerprint(files.weights, self._precision)
