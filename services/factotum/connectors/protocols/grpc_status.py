"""What a gRPC status means to a tool, by the meaning that gRPC's documentation of the codes gives to each."""

from __future__ import annotations

import grpc

from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)

_WORDS_LIMIT = 500
_Code = grpc.StatusCode

# The service looked at the request and did nothing.
_REFUSALS: dict[grpc.StatusCode, type[ToolError]] = {
    _Code.INVALID_ARGUMENT: InvalidArgument,
    _Code.OUT_OF_RANGE: InvalidArgument,
    _Code.UNIMPLEMENTED: InvalidArgument,
    _Code.NOT_FOUND: NotFound,
    _Code.ALREADY_EXISTS: Conflict,
    _Code.FAILED_PRECONDITION: Conflict,
    _Code.PERMISSION_DENIED: NotPermitted,
    _Code.UNAUTHENTICATED: NotPermitted,
}
# Our own side gives this up as RESOURCE_EXHAUSTED too, after the service has answered.
_ANSWER_TOO_LARGE = "larger than max"


def refusal(method: str, error: grpc.aio.AioRpcError, *, answered: bool) -> ToolError:
    """The error for a call that did not end with OK.

    Args:
        answered: messages came before: whatever the status says, something was done.
    """
    code, details = error.code(), error.details() or ""
    message = f"{method} answered {code.name}: {details.strip()[:_WORDS_LIMIT] or 'no reason given'}"
    if code in _REFUSALS:
        return _REFUSALS[code](message, effect_possible=answered)
    if code is _Code.RESOURCE_EXHAUSTED and _ANSWER_TOO_LARGE in details:
        return Failed(message)
    if code is _Code.RESOURCE_EXHAUSTED:
        limited = RateLimited(message)
        limited.effect_possible = answered
        return limited
    if code is _Code.ABORTED:
        return Unavailable(message, effect_possible=answered)
    if code in (_Code.UNAVAILABLE, _Code.DEADLINE_EXCEEDED):
        return Unavailable(message)
    return Failed(message)
