"""Vectors from an endpoint that speaks OpenAI's embeddings API: `POST <base URL>/embeddings`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx2
import numpy as np
import stamina
from pydantic import BaseModel, ConfigDict, ValidationError

from factotum.memory.embedders.port import Vectors
from factotum.memory.errors import EmbedderRefused, EmbedderUnavailable
from factotum.memory.settings import OpenAIEmbeddingSettings

# Requests of batches under way at a time; queries do not count.
AT_ONCE = 4
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 20.0
# Whether a refusal is meant for the texts: if this one is refused too, it is not.
PROBE = "a"
# Of English text, as the endpoints' tokenizers cut it.
BYTES_PER_TOKEN = 4
_WORDS_LIMIT = 300


class _Passing(EmbedderUnavailable):
    """Worth another try, after `wait` seconds where the endpoint named them."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class _Embedding(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    index: int
    embedding: list[float]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: list[_Embedding]


class OpenAIEmbedder:
    """`port.Embedder` by an endpoint. Entering asks it nothing: it may be away then. An async context manager.

    Raises `EmbedderUnavailable` after the last attempt, and at once where somebody has to mend the settings first: the
    key or the model is not taken, or the vectors are not such as the settings say. Raises `EmbedderRefused` for texts
    that the endpoint does not take while it takes others. No message holds the key.

    Args:
        api_key: empty if the endpoint wants none.
        now: reads a `Retry-After` that is a date.
    """

    def __init__(self, settings: OpenAIEmbeddingSettings, api_key: str, *, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            timeout=settings.timeout_seconds,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    @property
    def fingerprint(self) -> str:
        """E.g. `openai:api.example.com/text-embedding-3-small/1536`. What the endpoint does behind the model's name
        cannot be seen: a model that changes without changing its name is not noticed."""
        return f"openai:{urlsplit(self._settings.base_url).netloc}/{self._settings.model}/{self.dimension}"

    @property
    def dimension(self) -> int:
        return self._settings.dimension

    async def embed(self, texts: Sequence[str]) -> Vectors:
        size = self._settings.batch_size
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        try:
            async with asyncio.TaskGroup() as group:
                parts = [group.create_task(self._in_turn(batch)) for batch in batches]
        except* (EmbedderUnavailable, EmbedderRefused) as errors:
            raise _first(errors) from errors
        return np.concatenate([np.empty((0, self.dimension), np.float32), *(part.result() for part in parts)])

    async def embed_query(self, text: str) -> Vectors:
        (vector,) = await self._asked([text])
        return np.asarray(vector, np.float32)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """An estimate: a token for every four bytes of UTF-8, rounded up."""
        return [-(-len(text.encode()) // BYTES_PER_TOKEN) for text in texts]

    async def _in_turn(self, texts: Sequence[str]) -> Vectors:
        async with self._turns:
            return await self._asked(texts)

    async def _asked(self, texts: Sequence[str]) -> Vectors:
        try:
            return await self._patiently(texts)
        except EmbedderRefused as error:
            if texts == [PROBE]:
                raise
            try:
                await self._patiently([PROBE])
            except EmbedderRefused:
                raise EmbedderUnavailable(f"every text is refused, so the settings are wrong: {error}") from error
            raise

    async def _patiently(self, texts: Sequence[str]) -> Vectors:
        async for attempt in stamina.retry_context(
            on=_worth_another,
            attempts=self._settings.attempts,
            timeout=None,
            wait_initial=FIRST_WAIT_SECONDS,
            wait_max=LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                return await self._asked_once(texts)
        raise AssertionError("the last attempt returns or raises")

    async def _asked_once(self, texts: Sequence[str]) -> Vectors:
        settings = self._settings
        body: dict[str, Any] = {"model": settings.model, "input": list(texts), "encoding_format": "float"}
        if settings.shorten:
            body["dimensions"] = settings.dimension
        try:
            response = await self._http.post(f"{settings.base_url.rstrip('/')}/embeddings", json=body)
        except httpx2.UnsupportedProtocol as error:
            raise EmbedderUnavailable(f"the address set for embeddings is not one: {error}") from error
        except httpx2.RequestError as error:
            raise _Passing(f"embeddings do not answer: {str(error) or type(error).__name__}") from error
        if response.is_success:
            return self._vectors(response.content, len(texts))
        said = f"embeddings answered {response.status_code}: {response.text.strip()[:_WORDS_LIMIT]}"
        if response.status_code in (408, 429) or response.status_code >= 500:
            raise _Passing(said, self._wait_named(response))
        raise EmbedderRefused(said) if response.status_code in (400, 413, 422) else EmbedderUnavailable(said)

    def _vectors(self, content: bytes, count: int) -> Vectors:
        try:
            answered = {item.index: item.embedding for item in _Answer.model_validate_json(content).data}
        except ValidationError as error:
            raise EmbedderUnavailable(f"embeddings answered what is none: {error.errors()[0]['msg']}") from error
        if answered.keys() != set(range(count)):
            raise EmbedderUnavailable(f"embeddings answered {len(answered)} vectors for {count} texts, or for others")
        if wrong := {len(vector) for vector in answered.values()} - {self.dimension}:
            raise EmbedderUnavailable(f"embeddings answered vectors of {min(wrong)}, the settings say {self.dimension}")
        vectors = np.array([answered[index] for index in range(count)], np.float64)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not lengths.all():
            raise EmbedderUnavailable("embeddings answered a vector of zeros")
        return np.asarray(vectors / lengths, np.float32)

    def _wait_named(self, response: httpx2.Response) -> float | None:
        """RFC 9110, section 10.2.3: seconds or a date."""
        named = response.headers.get("Retry-After", "").strip()
        if named.isascii() and named.isdigit():
            wait = float(named)
        else:
            try:
                moment = parsedate_to_datetime(named)
            except ValueError:
                return None
            wait = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - self._now()).total_seconds()
        return min(max(wait, 0.0), self._settings.longest_wait_seconds)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """What is away comes before what is refused: the texts refused are so again, and alone, when it is back."""
    return next((one for one in errors.exceptions if isinstance(one, EmbedderUnavailable)), errors.exceptions[0])


def _worth_another(error: Exception) -> bool | float:
    if not isinstance(error, _Passing):
        return False
    return True if error.wait is None else error.wait
