"""A kind of source whose system is a text: one tool for each word of what `World.words` says at the moment."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from factotum.sdk.context import ToolContext
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.sdk.tool import Connector, Tool
from factotum.tool_executor.schema_model import schema_model
from factotum.tool_executor.sources.source import Offer, SourceInvalid, SourceUnavailable, Surroundings

_OUTPUT = schema_model("Output", {"type": "object"})


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    suffix: str = ""
    token: str = ""


class Listed:
    """`words` None: the system is away. `reads` counts; `seen` holds what the secrets were."""

    kind: ClassVar[str] = "listed"
    config = Config

    def __init__(self) -> None:
        self.words: str | None = "one two"
        self.reads = 0
        self.seen: list[str] = []

    async def read(self, config: Config, document: bytes, surroundings: Surroundings) -> bytes:
        self.reads += 1
        if config.token:
            self.seen.append(await surroundings.secret(config.token))
        if not document and self.words is None:
            raise SourceUnavailable("the list is away")
        return document or (self.words or "").encode()

    def offer(self, system: str, config: Config, read: bytes) -> Offer:
        connector = Connector(system, settings=Config)
        for word in read.decode().split():
            if word == "bad":
                raise SourceInvalid("bad is no tool")
            name, _, version = word.partition("@")
            tool = _tool(f"{system}.{name}{config.suffix}", version or "1.0.0")
            connector.tools[tool.spec.name] = tool
        return Offer(connector, config)


def _tool(name: str, version: str) -> Tool[BaseModel, BaseModel, Config]:
    arguments = schema_model("Arguments", {"type": "object", "additionalProperties": {"type": "string"}})
    spec = ToolSpec(
        name=name,
        version=version,
        description=f"Says {name}.",
        effect=Effect.NONE,
        idempotency=Idempotency.NATIVE,
        input_schema=arguments.schema_text,
        output_schema=_OUTPUT.schema_text,
    )

    async def say(given: BaseModel, context: ToolContext[Config]) -> BaseModel:
        return _OUTPUT({"said": name, "tenant": context.tenant})

    return Tool(spec, say, arguments, _OUTPUT)
