"""From a definition to tools: reading a source, and making tools of what was read."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from weakref import WeakValueDictionary

import structlog
from pydantic import BaseModel, ValidationError

from factotum.runtime.secrets.mask import Mask
from factotum.sdk.errors import NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Idempotency
from factotum.tool_executor.sources import aside
from factotum.tool_executor.sources.source import (
    MOST_TOOLS,
    AnySource,
    Offer,
    SourceInvalid,
    SourceUnavailable,
    Surroundings,
)
from factotum.tool_executor.sources.store import Definition, Stored

log = structlog.get_logger(__name__)

# Sources of which tools are made at a time: each holds a processor.
_AT_ONCE = 4


class Maker:
    """Knows the kinds of source. Tenants with the same source share its tools, which do not know whose they are.

    Args:
        secret: the value behind a reference, of a tenant; raises `NotPermitted`.
        read_seconds: how long reading a source may take.
        offer_seconds: how long making tools of what was read may take.
    """

    def __init__(
        self,
        *,
        kinds: Mapping[str, AnySource],
        secret: Callable[[str, str], Awaitable[str]],
        read_seconds: float,
        offer_seconds: float = 60.0,
    ) -> None:
        self._kinds = kinds
        self._secret = secret
        self._read_seconds = read_seconds
        self._offer_seconds = offer_seconds
        self._offers: WeakValueDictionary[bytes, Offer] = WeakValueDictionary()
        self._making: dict[bytes, asyncio.Task[Offer]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def read(self, definition: Definition) -> bytes:
        """What was read, like every error without the values of the secrets that reading it took.

        Raises `SourceInvalid`, `SourceUnavailable`.
        """
        mask = Mask()
        try:
            read = await self._read(definition, mask)
            return await asyncio.to_thread(_masked, read, mask)
        except (SourceInvalid, SourceUnavailable) as error:
            if mask:
                raise type(error)(mask.text(str(error))) from None
            raise

    async def _read(self, definition: Definition, mask: Mask) -> bytes:
        kind, config = self._kind(definition), self._config(definition)

        async def secret(reference: str) -> str:
            value = await self._secret(definition.tenant, reference)
            mask.add(value)
            return value

        surroundings = Surroundings(
            tenant=definition.tenant, system=definition.system, secret=secret, seconds=self._read_seconds
        )
        try:
            async with asyncio.timeout(self._read_seconds):
                return await kind.read(config, definition.document, surroundings)
        except TimeoutError as error:
            raise SourceUnavailable(f"it was not read within {self._read_seconds:g} s") from error
        except Unavailable as error:  # a secret that is not to be had now
            raise SourceUnavailable(error.message) from error
        except NotPermitted as error:  # a secret that is not there, an address that is not allowed
            raise SourceInvalid(error.message) from error
        except (SourceInvalid, SourceUnavailable):
            raise
        # A fault in a kind of source is this source's, and no caller's.
        except Exception as error:
            log.exception("fault in a kind of source", kind=definition.kind)
            raise SourceInvalid(f"it could not be read: {type(error).__name__}") from error

    async def offer(self, stored: Stored, *, patiently: bool = False) -> Offer:
        """The tools; reaches no system. Raises `SourceInvalid`, also where it takes too long, unless it is waited for
        `patiently`."""
        definition = stored.definition
        kind, config = self._kind(definition), self._config(definition)
        same = await asyncio.to_thread(_digest, definition.kind, definition.system, definition.config_json, stored.read)
        if (offer := self._offers.get(same)) is not None:
            return offer
        if same not in self._making:
            self._making[same] = making = asyncio.create_task(self._made(same, kind, config, stored))
            making.add_done_callback(lambda _: self._making.pop(same, None))
            # Of one that nobody waits for any more, nobody asks how it failed.
            making.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            async with asyncio.timeout(None if patiently else self._offer_seconds):
                return await asyncio.shield(self._making[same])
        except TimeoutError as error:
            raise SourceInvalid(
                f"its tools were not made within {self._offer_seconds:g} s: allow fewer, or give it more time "
                "(FACTOTUM_SOURCE_OFFER_SECONDS)"
            ) from error

    async def _made(self, same: bytes, kind: AnySource, config: BaseModel, stored: Stored) -> Offer:
        system = stored.definition.system
        try:
            offer = await self._in_its_place(lambda: kind.offer(system, config, stored.read), f"tools of {system}")
        except SourceInvalid:
            raise
        # What a kind makes of a stranger's bytes, or of those that an older version of it read, may be anything; it is
        # this source's fault, and no caller's.
        except Exception as error:
            log.exception("fault in a kind of source", kind=kind.kind)
            raise SourceInvalid(
                f"no tools could be made of what was read ({type(error).__name__}). If there were some before, "
                f"`factotum tools refresh {system}` reads it anew; else allow fewer, which tells what is at fault, and "
                "report it: the log of the tool executor has the rest"
            ) from error
        _check(offer, system)
        self._offers[same] = offer
        return offer

    async def _in_its_place(self, work: Callable[[], Offer], name: str) -> Offer:
        async with self._places:
            outcome = aside.begun(work, name=name)
            # One that takes longer does not keep the others from theirs.
            await asyncio.wait({outcome}, timeout=self._offer_seconds)
        return await outcome

    def _kind(self, definition: Definition) -> AnySource:
        if definition.kind not in self._kinds:
            there_are = ", ".join(sorted(self._kinds))
            raise SourceInvalid(f"there is no kind of source {definition.kind!r}; these are: {there_are}")
        return self._kinds[definition.kind]

    def _config(self, definition: Definition) -> BaseModel:
        try:
            model: BaseModel = self._kind(definition).config.model_validate_json(definition.config_json or "{}")
        except ValidationError as error:
            raise SourceInvalid(f"the configuration: {_described(error)}") from error
        return model


def _digest(kind: str, system: str, config_json: str, read: bytes) -> bytes:
    named = json.dumps([kind, system, config_json]).encode()
    return hashlib.sha256(hashlib.sha256(named).digest() + read).digest()


def _described(error: ValidationError) -> str:
    """The faults in one line, without the values: somebody may have written a secret where its name belongs."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'all of it'}: {fault['msg']}" for fault in error.errors())


def _check(offer: Offer, system: str) -> None:
    """Raises `SourceInvalid` for what would be no source's tools."""
    tools = offer.connector.tools
    if offer.connector.system != system or any(name != tool.spec.name for name, tool in tools.items()):
        raise SourceInvalid(f"the tools made are not those of the system {system!r}")
    if any(tool.spec.system != system for tool in tools.values()):
        raise SourceInvalid(f"a tool of the system {system!r} has a name of another")
    if not tools:
        raise SourceInvalid("it has no tools: look at what its configuration allows")
    if len(tools) > MOST_TOOLS:
        raise SourceInvalid(f"it has {len(tools)} tools, at most {MOST_TOOLS} are taken: allow fewer")
    for name, tool in tools.items():
        spec = tool.spec
        if spec.effect is not Effect.NONE and spec.idempotency is Idempotency.RECONCILE and tool.reconciler is None:
            raise SourceInvalid(f"{name} is declared to be reconciled, and nothing can be asked")


def _masked(read: bytes, mask: Mask) -> bytes:
    try:
        return mask.text(read.decode()).encode()
    except UnicodeDecodeError:
        return read
