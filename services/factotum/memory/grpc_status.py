"""The memory's errors as gRPC statuses."""

from __future__ import annotations

from typing import Any, Never

import grpc

from factotum.memory.errors import (
    EmbedderMismatch,
    EmbedderRefused,
    EmbedderUnavailable,
    InvalidRequest,
    StoreUnavailable,
)

Context = grpc.aio.ServicerContext[Any, Any]
TRANSLATED = (InvalidRequest, StoreUnavailable, EmbedderMismatch, EmbedderRefused, EmbedderUnavailable)

_CODES = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    EmbedderMismatch: grpc.StatusCode.FAILED_PRECONDITION,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    EmbedderRefused: grpc.StatusCode.INVALID_ARGUMENT,
    EmbedderUnavailable: grpc.StatusCode.UNAVAILABLE,
}


async def abort(context: Context, error: Exception) -> Never:
    """INVALID_ARGUMENT for what breaks the contract or the embedder does not take, FAILED_PRECONDITION for a store made
    with another embedder, UNAVAILABLE while the store or the embedder is away."""
    await context.abort(next(code for kind, code in _CODES.items() if isinstance(error, kind)), str(error))
    raise AssertionError("abort raises")
