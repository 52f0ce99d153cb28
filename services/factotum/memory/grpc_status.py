"""The memory's errors as gRPC statuses."""

from __future__ import annotations

from typing import Any, Never

import grpc

from factotum.memory.errors import (
    EmbedderMismatch,
    EmbedderRefused,
    EmbedderUnavailable,
    InvalidRequest,
    StoreFaulty,
    StoreRefused,
    StoreUnavailable,
)

Context = grpc.aio.ServicerContext[Any, Any]
TRANSLATED = (InvalidRequest, StoreUnavailable, StoreRefused, EmbedderRefused, EmbedderUnavailable)

_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    EmbedderMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    StoreFaulty: grpc.StatusCode.FAILED_PRECONDITION,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    StoreRefused: grpc.StatusCode.INVALID_ARGUMENT,
    EmbedderRefused: grpc.StatusCode.INVALID_ARGUMENT,
    EmbedderUnavailable: grpc.StatusCode.UNAVAILABLE,
}


async def abort(context: Context, error: Exception) -> Never:
    """INVALID_ARGUMENT for what breaks the contract or is not taken by the embedder or the store, FAILED_PRECONDITION
    while somebody has to mend the store, UNAVAILABLE while the store or the embedder is away."""
    await context.abort(next(code for kind, code in _CODES.items() if isinstance(error, kind)), str(error))
    raise AssertionError("abort raises")
