"""What the planner's gRPC face lets in, and which status an error of the planner is."""

from __future__ import annotations

import re
from typing import Any, NoReturn, TypeAlias

import grpc

from factotum.events.envelope import TENANT_PATTERN, MalformedEvent
from factotum.planner.errors import CatalogUnavailable, InputRefused, StoreUnavailable, UnknownProcedure, VersionTaken
from factotum.procedures.fault import FaultyDocument
from factotum.procedures.model import SEMVER
from factotum.runs.errors import (
    CallChanged,
    ClaimUnreadable,
    NoAnswer,
    NotAmongThem,
    NothingWaits,
    RunEnded,
    RunNotFound,
    RunRefused,
    TemporalUnavailable,
)

# Whole values only: `$` alone would let a line break pass at the end.
_TENANT = re.compile(TENANT_PATTERN)
_PROCEDURE = re.compile(r"[a-zA-Z0-9-]{1,63}/[a-zA-Z0-9-]{1,63}")
_VERSION = re.compile(SEMVER.removeprefix("^").removesuffix("$"))
# With a colon: Temporal writes the time into the id of a scheduled run.
_RUN_ID = re.compile(r"[a-z0-9][a-zA-Z0-9.:-]{0,249}")

_STATUS: dict[type[Exception], grpc.StatusCode] = {
    RunNotFound: grpc.StatusCode.NOT_FOUND,
    NothingWaits: grpc.StatusCode.NOT_FOUND,
    UnknownProcedure: grpc.StatusCode.NOT_FOUND,
    TemporalUnavailable: grpc.StatusCode.UNAVAILABLE,
    NoAnswer: grpc.StatusCode.UNAVAILABLE,
    CatalogUnavailable: grpc.StatusCode.UNAVAILABLE,
    StoreUnavailable: grpc.StatusCode.UNAVAILABLE,
    FaultyDocument: grpc.StatusCode.FAILED_PRECONDITION,
    RunEnded: grpc.StatusCode.FAILED_PRECONDITION,
    CallChanged: grpc.StatusCode.FAILED_PRECONDITION,
    NotAmongThem: grpc.StatusCode.PERMISSION_DENIED,
    VersionTaken: grpc.StatusCode.ALREADY_EXISTS,
    InputRefused: grpc.StatusCode.INVALID_ARGUMENT,
    RunRefused: grpc.StatusCode.INVALID_ARGUMENT,
    ClaimUnreadable: grpc.StatusCode.DATA_LOSS,
    MalformedEvent: grpc.StatusCode.INVALID_ARGUMENT,
}

# The errors that `abort` can tell.
TRANSLATED: tuple[type[Exception], ...] = tuple(_STATUS)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


async def check(
    context: Context, *, tenant: str, run_id: str | None = None, procedure: str = "", version: str = ""
) -> None:
    """Ends the call unless each is what it can be: tenant and procedure go into a visibility query."""
    if not _TENANT.fullmatch(tenant):
        await refuse(context, f"tenant must match {TENANT_PATTERN}")
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        await context.abort(grpc.StatusCode.NOT_FOUND, f"tenant {tenant} has no run {run_id!r}")
    if procedure and not _PROCEDURE.fullmatch(procedure):
        await refuse(context, "procedure must be namespace/name")
    if version and not _VERSION.fullmatch(version):
        await refuse(context, "version must be a semantic version such as 1.2.0")


async def refuse(context: Context, reason: str) -> NoReturn:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, reason)
    raise AssertionError("abort raises")


async def abort(context: Context, error: Exception) -> NoReturn:
    """Ends the call with the status of one of `TRANSLATED`."""
    await context.abort(_STATUS[type(error)], str(error))
    raise AssertionError("abort raises")
