"""Whatever a tool raises, what leaves here is a `ToolError`."""

from __future__ import annotations

import traceback
from typing import Generic, TypeVar

import structlog

from factotum.sdk.errors import Failed, ToolError
from factotum.tool_executor.calls import Handler, Prepared
from factotum.tool_executor.errors import presentable

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Contained(Generic[T]):
    """An unexpected exception becomes `Failed`, effect possible: the fault is the tool's, and it says
    nothing of how far the tool got. The ledger asks the system before the run hears of it."""

    def __init__(self, inner: Handler[T]) -> None:
        self._inner = inner

    async def __call__(self, prepared: Prepared) -> T:
        try:
            return await self._inner(prepared)
        except ToolError as error:
            error.message = presentable(error.message)
            raise
        # The purpose of this wrapper: tools are third parties' code, of which some ends the process that it is in.
        except (Exception, SystemExit) as error:
            name, kind = prepared.call.tool.spec.name, type(error).__name__
            # Where, not what: the message of a foreign exception may hold a secret or personal data.
            log.error("fault in a tool", tool=name, error=kind, where="".join(traceback.format_tb(error.__traceback__)))
            raise Failed(f"{name} is faulty: it raised {kind}; the log of the tool-executor says where") from None
