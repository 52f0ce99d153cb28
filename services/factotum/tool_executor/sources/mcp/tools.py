"""Tools of the catalog, made of those that an MCP server lists."""

from __future__ import annotations

import hashlib
from typing import Any

from pydantic import ValidationError

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Ambiguous, Failed
from factotum.sdk.http import asking
from factotum.sdk.spec import Effect, Idempotency, ToolSpec
from factotum.sdk.tool import Tool
from factotum.tool_executor.schema_model import SchemaModel
from factotum.tool_executor.sources.mcp import listing, tasks
from factotum.tool_executor.sources.mcp.calls import Calls
from factotum.tool_executor.sources.mcp.config import Lookup, McpConfig, Terms
from factotum.tool_executor.sources.source import SourceInvalid
from factotum.tool_executor.wrappers.validated import faults

Context = ToolContext[McpConfig]
McpTool = Tool[SchemaModel, SchemaModel, McpConfig]
_NO_ARGUMENTS = {"type": "object"}


def made(listed: dict[str, Any], system: str, config: McpConfig, calls: Calls, *, version: str) -> McpTool:
    """The tool, on the terms that the configuration gives it. Raises `SourceInvalid`."""
    name: str = listed["name"]
    terms = config.terms_of(name)
    seconds = terms.seconds or config.seconds
    schema = listing.modern(listed.get("inputSchema", _NO_ARGUMENTS))
    if terms.key_argument is not None:
        schema = listing.without_argument(schema, terms.key_argument)
    declared = listed.get("outputSchema")
    arguments = listing.model(f"the input schema of {name!r}", schema)
    output = listing.model(
        f"the output schema of {name!r}",
        listing.CONTENT if declared is None else listing.without_patterns(listing.modern(declared)),
    )
    known = listing.fingerprint(listed)
    as_task = tasks.required(listed)

    async def call(given: SchemaModel, context: Context) -> SchemaModel:
        values = {**given.root, **_keyed(terms, context)}
        result = await calls.tool(
            name,
            known,
            values,
            context,
            seconds=seconds,
            failed_means_undone=terms.failed_means_undone,
            as_task=as_task,
        )
        told = content(result) if declared is None else _structured(name, result)
        return _validated(output, told, f"{system} {name}")

    return Tool(
        ToolSpec(
            name=f"{system}.{terms.name or listing.snake(name)}",
            version=version,
            description=listing.description(listed),
            effect=terms.effect,
            idempotency=terms.idempotency if terms.effect is not Effect.NONE else Idempotency.NATIVE,
            input_schema=schema,
            output_schema=output.schema_text,
            timeout_seconds=seconds,
            permissions=terms.permissions,
            compensation=terms.compensation,
            rate_limit=terms.rate_limit,
            concurrency=terms.concurrency,
        ),
        call,
        arguments,
        output,
    )


def ask_by(tool: McpTool, lookup: Lookup, listed: dict[str, Any], calls: Calls) -> None:
    """Lets the tool ask what became of its effect, by another tool of the server. Raises `SourceInvalid`."""
    if "outputSchema" not in listed:
        raise SourceInvalid(f"{tool.spec.name} cannot be asked for by {lookup.tool!r}: it has no structured output")
    known = listing.fingerprint(listed)

    @tool.reconcile
    async def found(given: SchemaModel, context: Context) -> SchemaModel | None:
        values = {**lookup.arguments, lookup.argument: derived_key(context)}
        with asking(tool.spec.system):
            result = await calls.tool(lookup.tool, known, values, context, seconds=context.settings.seconds)
            there = _at(_structured(lookup.tool, result), lookup.at)
        if there is None:
            return None
        try:
            return tool.output.model_validate(there)
        except ValidationError as error:
            raise Ambiguous(
                f"{lookup.tool} has something under the key of this call, which is no output of {tool.spec.name}: "
                f"{faults(error)}"
            ) from None


def derived_key(context: Context) -> str:
    """What a server is given as the key of an effect: the same on every retry, and of no other tenant."""
    return hashlib.sha256(f"{context.tenant}\n{context.idempotency_key}".encode()).hexdigest()[:40]


def content(result: dict[str, Any]) -> dict[str, Any]:
    """A result that has no declared form, as `CONTENT`."""
    blocks = [
        {name: value for name, value in block.items() if name not in ("_meta", "icons")}
        for block in result.get("content", [])
    ]
    told = {"text": "\n".join(block["text"] for block in blocks if block["type"] == "text"), "content": blocks}
    structured = result.get("structuredContent")
    return told if structured is None else {**told, "structured": structured}


def _keyed(terms: Terms, context: Context) -> dict[str, str]:
    return {} if terms.key_argument is None else {terms.key_argument: derived_key(context)}


def _structured(name: str, result: dict[str, Any]) -> Any:
    if "structuredContent" not in result:
        raise Failed(f"{name} declares a structured output and gave none")
    return result["structuredContent"]


def _validated(model: type[SchemaModel], value: Any, what: str) -> SchemaModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Failed(f"{what} answers what its own schema refuses: {faults(error)}") from None


def _at(value: Any, pointer: str) -> Any:
    """What stands at a JSON pointer (RFC 6901); None where nothing does."""
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
