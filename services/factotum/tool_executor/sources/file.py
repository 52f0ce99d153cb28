"""The file of sources: those that are kept beside the deployment, and not by `factotum tools add`.

tenants:
  acme:
    github:
      kind: openapi
      document: github.json     # beside this file; where the kind reads an address of its configuration, none
      config: {allow: [issues/*]}

It is read at the start. What it newly says is added in the background, again and again until the source answers;
what it no longer says is removed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError

from factotum.connectors.protocols import bounded_yaml
from factotum.events.envelope import TENANT_PATTERN, describe
from factotum.sdk.spec import SYSTEM_PATTERN
from factotum.tool_executor.catalog import SystemTaken
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import Definition, StoreUnavailable, UnknownSource

log = structlog.get_logger(__name__)

# Seconds between attempts: twice as long after each.
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 300.0

Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
System = Annotated[str, StringConstraints(pattern=SYSTEM_PATTERN)]

_NAMED = TypeAdapter(dict[System, Any])


class FileInvalid(Exception):
    """The file of sources cannot be used; the message says where it is wrong."""


class Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    document: Path | None = None
    config: dict[str, Any] = {}


class SourcesFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[Tenant, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A definition of the file; `fault` where it cannot be used, e.g. its document is not there."""

    definition: Definition
    fault: str = ""


def load(path: Path) -> list[Wanted]:
    """What the file says, its documents read. Raises `FileInvalid` if it has not the shape shown above."""
    try:
        file = SourcesFile.model_validate(bounded_yaml.loaded(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise FileInvalid(f"{path} cannot be read: {error.strerror}. Set FACTOTUM_TOOL_SOURCES_FILE.") from error
    except ValidationError as error:
        raise FileInvalid(f"{path}: {describe(error)}") from error
    except ValueError as error:
        raise FileInvalid(f"{path} {error}") from error
    return [
        _wanted(tenant, system, entry, path.parent)
        for tenant, systems in file.tenants.items()
        for system, entry in systems.items()
    ]


async def bring_about(
    wanted: Sequence[Wanted], sources: Sources, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Returns when each definition is in use, or is listed with what is wrong with it."""
    await _until_the_store_answers(lambda: _without_the_others(wanted, sources), sleep)
    await asyncio.gather(*(_one(it, sources, sleep) for it in wanted))


def _wanted(tenant: str, system: str, given: Any, folder: Path) -> Wanted:
    try:
        _NAMED.validate_python({system: given})
        entry = Entry.model_validate(given)
    except ValidationError as error:  # one tenant's mistake, and the others are to work
        return Wanted(Definition(tenant, system, "", "{}", b"", from_file=True), describe(error))
    document, fault = b"", ""
    if entry.document is not None:
        try:
            document = (folder / entry.document).read_bytes()
        except OSError as error:
            fault = f"{entry.document} cannot be read: {error.strerror}"
    config = json.dumps(entry.config, ensure_ascii=False, default=str)
    return Wanted(Definition(tenant, system, entry.kind, config, document, from_file=True), fault)


async def _without_the_others(wanted: Sequence[Wanted], sources: Sources) -> None:
    said = {it.definition.key for it in wanted}
    for tenant, system in await sources.from_file():
        if (tenant, system) not in said:
            try:
                await sources.remove(tenant, system, from_file=True)
            except UnknownSource:  # another executor with this file was faster
                continue


async def _until_the_store_answers(
    work: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[None]]
) -> None:
    wait = SHORTEST_WAIT
    while True:
        try:
            return await work()
        except StoreUnavailable as error:
            log.warning("file of sources waits", reason=str(error))
            await sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)


async def _one(wanted: Wanted, sources: Sources, sleep: Callable[[float], Awaitable[None]]) -> None:
    definition, fault, wait = wanted.definition, wanted.fault, SHORTEST_WAIT
    while not fault:
        try:
            if not await sources.has(definition):
                await sources.add(definition)
            return
        except (SourceUnavailable, StoreUnavailable) as error:
            sources.waits(definition, f"{error}; it is tried again")
            await sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        except (SourceInvalid, SystemTaken, CallRefused) as error:
            fault = str(error)
        # A fault in a kind of source is this source's, and the others are to work.
        except Exception as error:
            log.exception("fault in a kind of source", kind=definition.kind)
            fault = type(error).__name__
    log.error("source left out", tenant=definition.tenant, system=definition.system, reason=fault)
    sources.waits(definition, fault)
