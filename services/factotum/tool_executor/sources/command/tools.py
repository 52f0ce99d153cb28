"""A declared command as a tool."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from factotum.runtime.secrets.names import name_of
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import KINDS, Cancelled, Failed, InvalidArgument, RateLimited, ToolError, Unavailable
from factotum.sdk.sandbox import Command, Ended
from factotum.sdk.spec import Effect, SecretNeed, ToolSpec
from factotum.sdk.tool import Tool
from factotum.tool_executor.sandbox.collected import is_pattern, matches
from factotum.tool_executor.schema_model import SchemaModel, schema_model
from factotum.tool_executor.sources.command.config import Content, Declared, Given
from factotum.tool_executor.sources.command.words import command_line, text
from factotum.tool_executor.wrappers.validated import faults

# What making and unmaking the sandbox takes beside the command itself.
_MARGIN = 10.0
KEY = "FACTOTUM_IDEMPOTENCY_KEY"


class NoSettings(BaseModel):
    """What a command needs stands in its declaration."""

    model_config = ConfigDict(extra="forbid", frozen=True)


CommandTool = Tool[SchemaModel, SchemaModel, NoSettings]


def tool(name: str, declared: Declared) -> CommandTool:
    """Raises `ValueError` for what is no JSON Schema."""
    arguments = schema_model("Arguments", _arguments(declared))
    output = schema_model("Output", _output(declared))
    spec = ToolSpec(
        name=name,
        version=declared.version,
        description=declared.description,
        effect=declared.effect,
        idempotency=declared.once,
        input_schema=arguments.model_json_schema(),
        output_schema=output.model_json_schema(),
        timeout_seconds=min(declared.limits.seconds + _MARGIN, 3600),
        permissions=tuple(declared.permissions),
        secrets=tuple(
            SecretNeed(name=name_of(one.secret), description=f"in {variable}", delegated=one.delegated)
            for variable, one in declared.secrets.items()
        ),
        compensation=declared.compensation,
        errors=tuple(dict.fromkeys(["invalid_argument", "failed", *_kinds(declared)])),
        rate_limit=declared.rate_limit,
        concurrency=declared.concurrency,
        sandbox=True,
        examples=tuple(declared.examples),
    )
    return Tool(spec, _Running(name, declared, output).__call__, arguments, output)


def _kinds(declared: Declared) -> list[str]:
    found = {kind for kind in declared.exit_codes.values() if kind != "ok"}
    return sorted(found | ({"unavailable"} if declared.hosts else set()))


def _arguments(declared: Declared) -> dict[str, Any]:
    needed = [
        name for name, schema in declared.slots.items() if name not in declared.optional and "default" not in schema
    ]
    return {
        "type": "object",
        "properties": declared.slots,
        "required": needed,
        "additionalProperties": False,
    }


def _output(declared: Declared) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "json": declared.output,
        "text": {"type": "string"},
        "lines": {"type": "array", "items": {"type": "string"}},
    }
    if declared.stdout == "json" and not declared.files_out:
        return declared.output
    fields: dict[str, Any] = {} if declared.stdout == "none" else {declared.stdout: answers[declared.stdout]}
    if declared.files_out:
        kinds = {content: _file(content) for content in declared.files_out.values()}
        each = next(iter(kinds.values())) if len(kinds) == 1 else {"type": "string"}
        fields["files"] = {
            "type": "object",
            "properties": {
                name: _file(content) for name, content in declared.files_out.items() if not is_pattern(name)
            },
            "required": [name for name in declared.files_out if not is_pattern(name)],
            "additionalProperties": each,
        }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _file(content: Content) -> dict[str, Any]:
    return {"type": "string"} | ({"contentEncoding": "base64"} if content == "base64" else {})


class _Running:
    """Calls of one command."""

    def __init__(self, name: str, declared: Declared, output: type[SchemaModel]) -> None:
        self._name = name
        self._declared = declared
        self._output = output
        # What reaches nobody changed nothing that outlives its sandbox, whatever its effect is said to be.
        self._reaches = bool(declared.hosts) and declared.effect is not Effect.NONE

    async def __call__(self, arguments: SchemaModel, context: ToolContext[NoSettings]) -> SchemaModel:
        defaults = {name: schema["default"] for name, schema in self._declared.slots.items() if "default" in schema}
        command = self._command({**defaults, **arguments.root}, context)
        try:
            ended = await context.sandbox.run(command, self._declared.limits)
        except asyncio.CancelledError:
            if self._reaches:
                raise
            raise Cancelled(f"{self._name} was stopped", effect_possible=False) from None
        self._check(ended)
        answer = self._answer(ended)
        try:
            return self._output.model_validate(answer)
        except ValidationError as error:
            raise self._failed(f"answered what is not as declared: {faults(error)}") from None

    def _command(self, values: Mapping[str, Any], context: ToolContext[NoSettings]) -> Command:
        declared = self._declared
        environment = {name: value for name, value in declared.environment.items() if isinstance(value, str)}
        environment[KEY] = context.idempotency_key
        environment |= {name: context.secret(one.secret) for name, one in declared.secrets.items()}
        return Command(
            command_line(declared.argv, values),
            stdin=None if declared.stdin is None else _content(declared.stdin, values),
            environment=environment,
            files={
                name: content
                for name, given in declared.files_in.items()
                if (content := _content(given, values)) is not None
            },
            scripts=declared.scripts,
            wanted=list(declared.files_out),
            hosts=declared.hosts,
            bound_address_space=declared.bound_address_space,
        )

    def _check(self, ended: Ended) -> None:
        """Raises what the end of the command means."""
        if ended.stopped:
            why = f"{ended.stopped} and was stopped"
            if self._declared.hosts and ended.stopped.startswith("did not end"):
                raise Unavailable(self._words(why, ended), effect_possible=self._reaches)
            raise self._failed(why, ended)
        kind = self._declared.exit_codes.get(ended.code, "failed" if ended.code else "ok")
        if kind != "ok":
            raise self._error(kind, f"ended with code {ended.code}", ended)
        if ended.stdout.overflowed or ended.stderr.overflowed:
            raise self._failed("wrote more than it may: let it write less, or raise limits.output_kib")

    def _answer(self, ended: Ended) -> Any:
        declared, answer = self._declared, {}
        match declared.stdout:
            case "json":
                try:
                    answer["json"] = from_json(ended.stdout.text)
                except ValueError as error:
                    raise self._failed(f"wrote what is no JSON: {error}") from error
                if not declared.files_out:
                    return answer["json"]
            case "text":
                answer["text"] = ended.stdout.text
            case "lines":
                answer["lines"] = ended.stdout.text.splitlines()
        if declared.files_out:
            answer["files"] = self._files(ended)
        return answer

    def _files(self, ended: Ended) -> dict[str, str]:
        files: dict[str, str] = {}
        for pattern, content in self._declared.files_out.items():
            found = {name: file for name, file in ended.files.items() if matches(name, pattern)}
            if not found and not is_pattern(pattern):
                raise self._failed(f"left no file {pattern}", ended)
            files |= {name: self._told(name, file, content) for name, file in found.items()}
        return files

    def _told(self, name: str, file: bytes, content: Content) -> str:
        if content == "base64":
            return base64.b64encode(file).decode()
        try:
            return file.decode()
        except UnicodeDecodeError as error:
            raise self._failed(f"left {name}, which is no text: declare it as base64") from error

    def _error(self, kind: str, why: str, ended: Ended | None = None) -> ToolError:
        words = self._words(why, ended)
        if kind == RateLimited.kind:
            return RateLimited(words)
        error = KINDS[kind](words)
        error.effect_possible = error.effect_possible and self._reaches
        return error

    def _failed(self, why: str, ended: Ended | None = None) -> ToolError:
        return self._error(Failed.kind, why, ended)

    def _words(self, why: str, ended: Ended | None) -> str:
        words = f"{self._name} {why}"
        if ended is not None and (said := ended.stderr.last_lines or ended.stdout.last_lines):
            words += f": {said}"
        if ended is not None and ended.refused:
            words += f" (it asked for {', '.join(ended.refused)}, which is not among its hosts)"
        return words


def _content(given: Given, values: Mapping[str, Any]) -> str | bytes | None:
    """Raises `InvalidArgument`."""
    if (value := values.get(given.slot)) is None:
        return None
    if given.content == "text":
        return text(value)
    try:
        return base64.b64decode(text(value), validate=True)
    except binascii.Error as error:
        raise InvalidArgument(f"{given.slot} is no base64: {error}") from error
