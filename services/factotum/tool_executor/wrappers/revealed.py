"""Only the tool itself sees the values of secrets; what it says is without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar, cast

from pydantic import ValidationError
from pydantic_core import from_json

from factotum.runtime.secrets import SCHEME
from factotum.sdk.errors import InvalidArgument, NotPermitted, ToolError
from factotum.tool_executor import marks
from factotum.tool_executor.calls import Handler, Prepared
from factotum.tool_executor.marks import Mask
from factotum.tool_executor.wrappers.validated import faults

T = TypeVar("T")


class Revealed(Generic[T]):
    """Puts values in place of the marks in the arguments, and `***` in place of the values in the output, in what is
    told of progress and in the message of an error: of every secret that the call was given, by its arguments,
    settings or policies."""

    def __init__(self, inner: Handler[T]) -> None:
        self._inner = inner

    async def __call__(self, prepared: Prepared) -> T:
        mask = Mask()
        try:
            output = await self._inner(with_values(prepared, mask))
        except ToolError as error:
            error.message = mask.text(error.message)
            error.args = (error.message,)
            raise
        return cast(T, mask.json(output)) if isinstance(output, str) else output


def with_values(prepared: Prepared, mask: Mask) -> Prepared:
    """The call as the tool is given it; what it is told of secrets is told to the mask.

    Raises `InvalidArgument`, `NotPermitted`, both before anything was done.
    """
    call, context = prepared.call, prepared.context
    noted = _noted(context.secret, mask)

    def declared(name: str) -> str:
        if call.secrets is None or name not in call.secrets.names:
            raise NotPermitted(f"the secret {name!r} is not declared: name it under use.secrets of the document")
        return noted(SCHEME + name)

    arguments = prepared.arguments
    if call.secrets is not None and call.secrets.nonce and call.secrets.nonce in call.arguments_json:
        value = marks.revealed(from_json(call.arguments_json), call.secrets, lambda name: noted(SCHEME + name))
        try:
            arguments = call.tool.arguments.model_validate_json(json.dumps(value))
        except ValidationError as error:
            raise InvalidArgument(f"{call.tool.spec.name}: {faults(error)}") from None

    def report(text: str, fraction: float | None = None) -> None:
        context.report(mask.text(text), fraction)

    return Prepared(call, arguments, replace(context, secret=noted, declared_secret=declared, report=report))


def _noted(resolve: Callable[[str], str], mask: Mask) -> Callable[[str], str]:
    def noted(reference: str) -> str:
        value = resolve(reference)
        mask.add(value)
        return value

    return noted
