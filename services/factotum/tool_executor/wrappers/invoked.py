"""The innermost part: the tool's own functions, and the JSON text of what they return."""

from __future__ import annotations

from typing import Any

from factotum.tool_executor.calls import Prepared
from factotum.tool_executor.registry import AnyTool


async def act(prepared: Prepared) -> str:
    """Carries the call out. Raises whatever the tool raises, or pydantic for an output not as declared."""
    tool = prepared.call.tool
    return text(tool, await tool.function(prepared.arguments, prepared.context))


async def ask(prepared: Prepared) -> str | None:
    """Asks the system whether an earlier attempt had its effect; None if it certainly had not."""
    tool = prepared.call.tool
    if tool.reconciler is None:
        raise TypeError(f"{tool.spec.name} cannot be asked")
    found = await tool.reconciler(prepared.arguments, prepared.context)
    return None if found is None else text(tool, found)


def text(tool: AnyTool, output: Any) -> str:
    """The JSON text of an output. Raises pydantic's `ValidationError` if it is not as declared."""
    model = tool.output.model_validate(output)
    # The schema in the catalog is the one of serialisation by alias. An instance made by hand is not
    # validated anew; what is of another type than its field declares is refused here.
    written: str = model.model_dump_json(by_alias=True, warnings="error")
    return written
