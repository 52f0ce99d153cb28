"""What a call does by its arguments, where its tool's declaration is only the most that it can do."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog
from pydantic import ValidationError

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import NotPermitted, ToolError
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.calls import Call, Prepared
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.secrets import Secrets

log = structlog.get_logger(__name__)


async def narrowed(call: Call, contexts: Contexts, secrets: Secrets | None = None) -> Call:
    """The call with its tool narrowed; as it is where the tool has nothing to say, or cannot say it now. A fault
    in the arguments or the settings is not told here: the call meets it again.

    Args:
        secrets: those of the call; None: a tool that needs one for this cannot say it.
    """
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
                mask=Mask(),
            ),
        )
        effect, idempotency = await _nature(prepared, secrets)
    except (ValidationError, ToolError, TimeoutError):
        return call
    # A third party's code may raise anything; what it declared holds then.
    except Exception as error:
        log.error("fault in a tool's narrowing", tool=tool.spec.name, error=type(error).__name__)
        return call
    return replace(call, tool=tool.narrowed(effect, idempotency))


async def _nature(prepared: Prepared, secrets: Secrets | None) -> tuple[Effect, Idempotency]:
    """As the tool tells it; with secrets only if it needs them for that, since nobody permitted the call yet."""
    asked = False

    def not_yet(name: str) -> str:
        nonlocal asked
        asked = True
        raise NotPermitted(f"the secret {name} is not given yet")

    marks = prepared.call.secrets
    marked = marks is not None and marks.nonce != "" and marks.nonce in prepared.call.arguments_json
    if secrets is None or not marked:
        context = replace(prepared.context, secret=not_yet, declared_secret=not_yet)
        try:
            return await _asked(replace(prepared, context=context))
        except NotPermitted:
            if secrets is None or not asked:
                raise
    return await _asked(await secrets.revealed(prepared, secrets.needs(prepared)))


async def _asked(prepared: Prepared) -> tuple[Effect, Idempotency]:
    tool = prepared.call.tool
    assert tool.narrower is not None
    async with asyncio.timeout(tool.spec.timeout_seconds):
        return await tool.narrower(prepared.arguments, prepared.context)
