"""Tools that do nothing at once, for the benchmark of `Execute`: loaded by FACTOTUM_CONNECTORS."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector


class NoSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(BaseModel):
    name: str
    mail: str = ""


class Done(BaseModel):
    id: str


connector = Connector("noop", settings=NoSettings)


@connector.tool(effect=Effect.NONE)
async def read(arguments: Person, context: ToolContext[NoSettings]) -> Done:
    """Read nothing."""
    return Done(id="1")


@connector.tool(effect=Effect.CREATE, idempotency=Idempotency.NATIVE)
async def write(arguments: Person, context: ToolContext[NoSettings]) -> Done:
    """Write nothing."""
    return Done(id="1")
