"""A system that tells whatever it is given: in its answers, errors, progress, logs, warnings and spans."""

from __future__ import annotations

import asyncio
import logging
import warnings
from typing import Any, Literal

import structlog
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict
from factotum.sdk.spec import Effect, Idempotency, SecretNeed
from factotum.sdk.tool import Connector
from tests.support.planted import written

TIMEOUT_SECONDS = 0.5


class PlantedSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    token: str = "secret://planted-settings"


class Said(BaseModel):
    text: str = ""
    use: str = ""
    then: Literal["answer", "refuse", "raise", "hang"] = "answer"


class Heard(BaseModel):
    told: list[list[str]]


connector = Connector("planted", settings=PlantedSettings)


async def _tell(arguments: Said, context: ToolContext[PlantedSettings], *names: str) -> Heard:
    known = [context.secret(context.settings.token), *(context.secret(f"secret://{name}") for name in names)]
    known += [context.declared_secret(arguments.use)] if arguments.use else []
    told = [[arguments.text], *(list(written(value)) for value in known)]
    words = f"{arguments.text} {told}"
    context.report(words, 0.5)
    structlog.get_logger("planted").warning("told", words=words, **{"bytes": words.encode()})
    logging.getLogger("httpcore2").warning("request %r", [(b"authorization", value.encode()) for value in known])
    warnings.warn(words, stacklevel=1)
    span = trace.get_current_span()
    span.set_attribute("planted.words", words)
    span.add_event("told", {"words": words})
    match arguments.then:
        case "answer":
            return Heard(told=told)
        case "refuse":
            error = Conflict(f"the system says: {words}", effect_possible=False)
            error.add_note(words)
            raise error from ValueError(words)
        case "raise":
            try:
                raise KeyError(words)
            except KeyError as cause:
                raise RuntimeError(words) from cause
        case "hang":
            await asyncio.sleep(60)
    raise AssertionError("unreachable")


@connector.tool(
    effect=Effect.CREATE,
    idempotency=Idempotency.NATIVE,
    timeout_seconds=TIMEOUT_SECONDS,
    secrets=[SecretNeed(name="planted-tool")],
)
async def tell(arguments: Said, context: ToolContext[PlantedSettings]) -> Heard:
    """Tell all secrets of the tenant."""
    return await _tell(arguments, context, "planted-tool")


@connector.tool(
    effect=Effect.NONE,
    timeout_seconds=TIMEOUT_SECONDS,
    secrets=[SecretNeed(name="planted-person", delegated=True)],
)
async def tell_as(arguments: Said, context: ToolContext[Any]) -> Heard:
    """Tell the secret of the person."""
    return await _tell(arguments, context, "planted-person")
