"""A system that cannot be reached does not answer, whatever its tool made of that."""

from __future__ import annotations

import traceback
from typing import Generic, TypeVar

import structlog

from factotum.sdk.errors import Unavailable
from factotum.tool_executor.calls import Handler, Prepared

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Of the tool's own files: a fault in it, or in its settings, which a retry does not mend.
_OF_FILES = (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)


class Connected(Generic[T]):
    """What the operating system says of a connection, and a tool lets through, becomes `Unavailable`, effect
    possible: nothing is known of how far the call got."""

    def __init__(self, inner: Handler[T]) -> None:
        self._inner = inner

    async def __call__(self, prepared: Prepared) -> T:
        try:
            return await self._inner(prepared)
        except _OF_FILES:
            raise
        except OSError as error:
            name, kind = prepared.call.tool.spec.name, type(error).__name__
            # Where, not what: see `Contained`.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.warning("a tool lost its system", tool=name, error=kind, where=where)
            raise Unavailable(f"{name} could not reach its system: {kind}") from None
