"""Only the tool itself sees the values of secrets; what it says is without them."""

from __future__ import annotations

from typing import Generic, TypeVar, cast

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import ToolError
from factotum.tool_executor.calls import Handler, Prepared
from factotum.tool_executor.secrets import Secrets

T = TypeVar("T")


class Redacted(Generic[T]):
    """Has the secrets that the call may use resolved, puts values in place of the marks in the arguments, and `***` in
    place of the values in the output, in the message of an error and in what is told of the progress: of every secret
    that the call was given, by its arguments, its settings or the tool's spec.

    Outside of the tool's time and of its interruption: a call that waits for a store of secrets has not begun.
    Raises `NotPermitted`, `InvalidArgument` and `Unavailable`, all before anything was done.
    """

    def __init__(self, inner: Handler[T], *, secrets: Secrets) -> None:
        self._inner = inner
        self._secrets = secrets

    async def __call__(self, prepared: Prepared) -> T:
        if needs := self._secrets.needs(prepared):
            prepared = await self._secrets.revealed(prepared, needs)
        mask = prepared.mask
        try:
            output = await self._inner(prepared)
        except ToolError as error:
            if mask:
                _clean(error, mask)
            raise
        return cast(T, mask.json(output)) if isinstance(output, str) else output


def _clean(error: ToolError, mask: Mask) -> None:
    error.message = mask.text(error.message)
    error.args = (error.message,)
    if hasattr(error, "__notes__"):
        error.__notes__ = [mask.text(note) for note in error.__notes__]
    # What a library said stands in a traceback with the error that was made of it.
    error.__cause__ = error.__context__ = None
