"""A server's resources and prompts, as tools that only read."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import NotPermitted
from factotum.sdk.spec import Effect
from factotum.sdk.tool import Connector
from factotum.tool_executor.sources.mcp.calls import Calls
from factotum.tool_executor.sources.mcp.config import McpConfig

Context = ToolContext[McpConfig]


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResourceAt(BaseModel):
    model_config = ConfigDict(extra="forbid")

    uri: str


class PromptCall(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    arguments: dict[str, str] = {}


class Contents(BaseModel):
    """Each has `uri`, `mimeType`, and `text` or base64 as `blob`."""

    contents: list[dict[str, Any]]


class Resources(BaseModel):
    """`resources` have a `uri`, `templates` a `uriTemplate` (RFC 6570); both have a `name`."""

    resources: list[dict[str, Any]]
    templates: list[dict[str, Any]]


class Prompt(BaseModel):
    """Each message has a `role` and a block of `content`."""

    description: str | None = None
    messages: list[dict[str, Any]]


class Prompts(BaseModel):
    """Each has a `name`, and `arguments` with a `name` each."""

    prompts: list[dict[str, Any]]


def add_resources(connector: Connector[McpConfig], calls: Calls) -> None:
    @connector.tool(effect=Effect.NONE)
    async def read_resource(arguments: ResourceAt, context: Context) -> Contents:
        """Read a resource of the server."""
        if not may_be_read(arguments.uri, context.settings):
            raise NotPermitted(f"{arguments.uri} may not be read: add it to resources of {connector.system}")
        result = await calls.ask("resources/read", {"uri": arguments.uri}, context)
        return Contents(contents=result["contents"])

    @connector.tool(effect=Effect.NONE)
    async def list_resources(arguments: Nothing, context: Context) -> Resources:
        """List the resources of the server that may be read, and the templates of their addresses."""
        resources = await calls.listed("resources/list", "resources", context)
        return Resources(
            resources=[one for one in resources if may_be_read(one["uri"], context.settings)],
            templates=await calls.listed("resources/templates/list", "resourceTemplates", context),
        )


def add_prompts(connector: Connector[McpConfig], calls: Calls) -> None:
    @connector.tool(effect=Effect.NONE)
    async def get_prompt(arguments: PromptCall, context: Context) -> Prompt:
        """Have the server fill in a prompt."""
        allowed = context.settings.prompts
        if allowed != "*" and arguments.name not in allowed:
            raise NotPermitted(f"the prompt {arguments.name!r} may not be had: add it to prompts of {connector.system}")
        result = await calls.ask("prompts/get", arguments.model_dump(), context)
        return Prompt(description=result.get("description"), messages=result["messages"])

    @connector.tool(effect=Effect.NONE)
    async def list_prompts(arguments: Nothing, context: Context) -> Prompts:
        """List the prompts of the server that may be had."""
        allowed = context.settings.prompts
        found = await calls.listed("prompts/list", "prompts", context)
        return Prompts(prompts=[one for one in found if allowed == "*" or one["name"] in allowed])


def may_be_read(uri: str, config: McpConfig) -> bool:
    """A `*` of the configuration stands for anything; what climbs out of a folder is of no folder."""
    if "/../" in f"{uri}/":
        return False
    patterns = [".*".join(map(re.escape, allowed.split("*"))) for allowed in config.resources]
    return any(re.fullmatch(pattern, uri, re.DOTALL) for pattern in patterns)
