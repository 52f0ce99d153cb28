"""Sources of the kind command: what an operator declares becomes tools. Nothing is read from afar."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import Any, ClassVar

from pydantic import ValidationError

from factotum.connectors.protocols import bounded_yaml
from factotum.events.envelope import describe
from factotum.sdk.processes import SEARCH
from factotum.sdk.tool import Connector
from factotum.tool_executor.sources.command import tools
from factotum.tool_executor.sources.command.config import Commands
from factotum.tool_executor.sources.source import Offer, SourceInvalid, Surroundings

# Of a document, aliases written out.
_MOST_VALUES = 100_000


class CommandSource:
    """The kind command."""

    kind: ClassVar[str] = "command"
    config = Commands

    async def read(self, config: Commands, document: bytes, surroundings: Surroundings) -> bytes:
        """The declarations, as JSON. A program that is not there is a fault in them."""
        if config.commands and document:
            raise SourceInvalid("give the commands in the configuration or as a document, not both")
        return await asyncio.to_thread(self._read, config, document)

    def _read(self, config: Commands, document: bytes) -> bytes:
        read = _document(document) if document else config
        if missing := sorted({str(one.argv[0]) for one in read.commands.values() if not _found(str(one.argv[0]))}):
            raise SourceInvalid(f"{', '.join(missing)} is not on {SEARCH} of the tool-executor: install it there")
        return read.model_dump_json(by_alias=True, exclude_unset=True).encode()

    def offer(self, system: str, config: Commands, read: bytes) -> Offer:
        connector = Connector(system, settings=tools.NoSettings)
        for name, declared in _checked(json.loads(read)).commands.items():
            try:
                made = tools.tool(f"{system}.{name}", declared)
            except ValueError as error:
                raise SourceInvalid(f"commands.{name}: {error}") from error
            connector.tools[made.spec.name] = made
        return Offer(connector, tools.NoSettings())


def _document(document: bytes) -> Commands:
    try:
        return _checked(bounded_yaml.loaded(document, most_values=_MOST_VALUES))
    except ValueError as error:
        raise SourceInvalid(f"the document {error}") from error


def _checked(value: Any) -> Commands:
    try:
        return Commands.model_validate(value)
    except ValidationError as error:
        raise SourceInvalid(describe(error)) from error


def _found(program: str) -> bool:
    return shutil.which(program, path=SEARCH) is not None
