"""What a call does by its arguments, where its tool's declaration is only the most that it can do."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog
from pydantic import ValidationError

from factotum.sdk.errors import ToolError
from factotum.tool_executor.calls import Call, Prepared
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.marks import Mask
from factotum.tool_executor.wrappers.revealed import with_values

log = structlog.get_logger(__name__)


async def narrowed(call: Call, contexts: Contexts) -> Call:
    """The call with its tool narrowed; as it is where the tool has nothing to say, or cannot say it now. A fault
    in the arguments or the settings is not told here: the call meets it again."""
    tool = call.tool
    if tool.narrower is None:
        return call
    try:
        prepared = Prepared(
            call,
            tool.arguments.model_validate_json(call.arguments_json),
            contexts.context(
                tenant=call.tenant,
                system=tool.spec.system,
                key=call.key,
                run_id=call.origin.run_id,
                started_at=call.started_at,
                user=call.origin.user,
            ),
        )
        prepared = with_values(prepared, Mask())
        async with asyncio.timeout(tool.spec.timeout_seconds):
            effect, idempotency = await tool.narrower(prepared.arguments, prepared.context)
    except (ValidationError, ToolError, TimeoutError):
        return call
    # A third party's code may raise anything; what it declared holds then.
    except Exception as error:
        log.error("fault in a tool's narrowing", tool=tool.spec.name, error=type(error).__name__)
        return call
    return replace(call, tool=tool.narrowed(effect, idempotency))
