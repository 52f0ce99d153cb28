"""Which status of gRPC an error of the tool executor is, and ending a call with it."""

from __future__ import annotations

from typing import Any, NoReturn, TypeAlias

import grpc

from factotum.tool_executor.catalog import SystemTaken
from factotum.tool_executor.errors import (
    CallRefused,
    ConnectorsInvalid,
    LedgerUnavailable,
    NotAmbiguous,
    ToolComing,
    UnknownEffect,
    UnknownTool,
)
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import StoreUnavailable, UnknownSource

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    CallRefused: grpc.StatusCode.INVALID_ARGUMENT,
    SourceInvalid: grpc.StatusCode.INVALID_ARGUMENT,
    UnknownTool: grpc.StatusCode.NOT_FOUND,
    UnknownEffect: grpc.StatusCode.NOT_FOUND,
    UnknownSource: grpc.StatusCode.NOT_FOUND,
    NotAmbiguous: grpc.StatusCode.FAILED_PRECONDITION,
    ConnectorsInvalid: grpc.StatusCode.FAILED_PRECONDITION,
    SystemTaken: grpc.StatusCode.ALREADY_EXISTS,
    LedgerUnavailable: grpc.StatusCode.UNAVAILABLE,
    ToolComing: grpc.StatusCode.UNAVAILABLE,
    SourceUnavailable: grpc.StatusCode.UNAVAILABLE,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
}

# The errors that `abort` can tell.
TRANSLATED: tuple[type[Exception], ...] = tuple(_STATUS)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


async def abort(context: Context, error: Exception, *, of: str = "") -> NoReturn:
    """Ends the call with the status of one of `TRANSLATED`. What a source is to blame for begins with the name of
    it, so that nobody thinks it was the executor."""
    blamed = of and isinstance(error, SourceInvalid | SourceUnavailable)
    await context.abort(_STATUS[type(error)], f"{of}: {error}" if blamed else str(error))
    raise AssertionError("abort raises")
