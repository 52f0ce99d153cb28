"""Sources of the kind openapi: an API's document is read and kept, its operations become tools."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ValidationError
from pydantic_core import from_json

from factotum.connectors.protocols import external_resource
from factotum.connectors.protocols.egress import Egress, allowed, guarded_client, origin
from factotum.connectors.protocols.openapi_calls import Caller
from factotum.connectors.protocols.openapi_document import Described
from factotum.connectors.protocols.openapi_interface import Interface, Reader
from factotum.connectors.protocols.openapi_schema import SchemaInvalid
from factotum.connectors.protocols.openapi_security import proofs
from factotum.connectors.protocols.openapi_text import parsed
from factotum.runtime import clock
from factotum.sdk.errors import InvalidArgument, RateLimited, ToolError, Unavailable
from factotum.sdk.http import reaching, refusal
from factotum.sdk.spec import Effect
from factotum.sdk.tool import Connector
from factotum.tool_executor.sources.openapi import selection
from factotum.tool_executor.sources.openapi.config import ApiSettings, OpenapiConfig
from factotum.tool_executor.sources.openapi.lookup import Asking
from factotum.tool_executor.sources.openapi.tools import Operation, OperationTool, effect_of, spec
from factotum.tool_executor.sources.openapi.version import Fingerprints, version
from factotum.tool_executor.sources.source import MOST_TOOLS, Offer, SourceInvalid, SourceUnavailable, Surroundings
from factotum.tool_executor.wrappers.validated import faults

# Of a vendor's document, which an operator waits for; read once and kept as JSON.
_LONGEST_YAML = 16 * 1024 * 1024
# Of operations that cannot be taken, those that are named.
_MOST_REFUSED = 10


class OpenapiSource:
    """The kind openapi."""

    kind: ClassVar[str] = "openapi"
    config = OpenapiConfig

    async def read(self, config: OpenapiConfig, document: bytes, surroundings: Surroundings) -> bytes:
        if not document and not config.document:
            raise SourceInvalid("give the document, or its address as `document`")
        text = document or await _fetched(config)
        where = config.document or "the document"
        try:
            found = await asyncio.to_thread(parsed, text, where, longest_yaml=_LONGEST_YAML)
        except InvalidArgument as error:
            raise SourceInvalid(error.message) from error
        if not str(found.get("openapi", "")).startswith(("3.0", "3.1")):
            raise SourceInvalid(f"{where} is no OpenAPI 3.0 or 3.1 document")
        # YAML may have times and numbers as names, which JSON writes as texts.
        return json.dumps(found, ensure_ascii=False, default=str, separators=(",", ":")).encode()

    def offer(self, system: str, config: OpenapiConfig, read: bytes) -> Offer:
        document: dict[str, Any] = from_json(read)
        reader = Reader(
            document,
            address=config.document or config.base_url or "the document",
            base=config.base_url,
            variables=config.server_variables,
            given=[name.lower() for name in config.headers],
        )
        try:
            made = _Making(system, config, document, reader)
            return made.offer()
        except InvalidArgument as error:
            raise SourceInvalid(error.message) from error
        except ValidationError as error:  # of terms that several patterns give, together
            raise SourceInvalid(f"terms: {faults(error)}") from error


class _Making:
    """The tools of one document. Raises `SourceInvalid`, `InvalidArgument`."""

    def __init__(self, system: str, config: OpenapiConfig, document: Mapping[str, Any], reader: Reader) -> None:
        self._system = system
        self._config = config
        self._document = document
        self._reader = reader
        self._settings = config.call_settings()
        self._fingerprints = Fingerprints()
        info = document.get("info")
        self._version = str(info.get("version", "")) if isinstance(info, dict) else ""

    def offer(self) -> Offer:
        operations = list(self._reader.operations())
        names = selection.names(operations)
        known = {one.id: one for one in operations if one.id} | {f"{one.method} {one.path}": one for one in operations}
        connector = Connector(self._system, settings=ApiSettings)
        refused: list[str] = []
        selected = list(selection.selected(operations, self._config))
        if len(selected) > MOST_TOOLS:
            raise SourceInvalid(f"it has {len(selected)} operations, at most {MOST_TOOLS} are taken: allow fewer")
        for one in selected:
            try:
                tool = self._tool(one, names[one.method, one.path], known)
            except SourceInvalid as error:
                refused.append(str(error))
                continue
            if tool.spec.name in connector.tools:
                raise SourceInvalid(f"two operations would be {tool.spec.name}: give one another name in its terms")
            connector.tools[tool.spec.name] = tool
        if refused:
            more = f"; and {len(refused) - _MOST_REFUSED} more" if len(refused) > _MOST_REFUSED else ""
            words = "; ".join(refused[:_MOST_REFUSED])
            raise SourceInvalid(f"{words}{more}. Operations that are not wanted are left out by `without`")
        return Offer(connector, self._settings)

    def _tool(self, one: Described, name: str, known: Mapping[str, Described]) -> OperationTool:
        operation = self._operation(one)
        interface, terms = operation.caller.interface, operation.terms
        made = spec(
            one,
            interface,
            terms,
            name=f"{self._system}.{terms.name or name}",
            version="1.0.0",
            seconds=self._config.timeout_seconds,
        )
        number = version(
            document=self._version,
            input_fingerprint=self._fingerprints.of(made.input_schema, certain_only=False),
            output_fingerprint=self._fingerprints.of(made.output_schema, certain_only=True),
            effect=made.effect,
        )
        tool = OperationTool(made.model_copy(update={"version": number}), operation.act)
        operation.tool = tool
        if terms.reconcile is not None and made.effect is not Effect.NONE:
            read = self._operation(selection.found(terms.reconcile.operation, known))
            if read.caller.effect is not Effect.NONE:
                raise SourceInvalid(f"{made.name} cannot be asked for by {terms.reconcile.operation}, which is no read")
            asking = Asking(tool, terms.reconcile, read, lenient=operation.caller.lenient)
            tool.reconcile(asking.__call__)
        return tool

    def _operation(self, one: Described) -> Operation:
        terms = selection.terms_of(one, self._config)
        interface = self._interface(one)
        self._check_reach(interface)
        caller = Caller(
            interface,
            effect_of(one, terms),
            proofs=self._proofs(one, interface),
            lenient=self._config.lenient if terms.lenient is None else terms.lenient,
            # A header that holds a secret would go wherever a redirection leads.
            redirects=self._config.redirects
            and not any(value.startswith("secret://") for value in self._config.headers.values()),
        )
        return Operation(caller, terms, system=self._system)

    def _interface(self, one: Described) -> Interface:
        try:
            return self._reader.interface(one)
        except (InvalidArgument, SchemaInvalid) as error:
            words = error.message if isinstance(error, InvalidArgument) else str(error)
            raise SourceInvalid(f"{selection.label(one)}: {words}") from error
        # What a document holds in place of what it should is met with in many places of its reading.
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SourceInvalid(
                f"{selection.label(one)} is not described as OpenAPI has it ({type(error).__name__}: {error})"
            ) from error

    def _proofs(self, one: Described, interface: Interface) -> Any:
        try:
            return proofs(interface.security, self._document, self._config.auth)
        except InvalidArgument as error:
            raise SourceInvalid(f"{selection.label(one)}: {error.message}") from error

    def _check_reach(self, interface: Interface) -> None:
        try:
            where = origin(interface.operation.base)
        except ValueError:
            raise SourceInvalid(
                f"{interface.name} is at {interface.operation.base!r}, which is no address: set base_url"
            ) from None
        scheme, _, rest = where.partition("://")
        host, _, port = rest.rpartition(":")
        if not allowed(self._settings.allow, scheme, host.strip("[]"), int(port))[1]:
            if self._config.base_url:
                raise SourceInvalid(
                    f"{interface.name} has a server of its own, {where}, which base_url does not take the place of "
                    f"and which may not be reached: allow it (--reach {where}), or leave the operation out (--without)"
                )
            raise SourceInvalid(
                f"{interface.name} is at {where}, which may not be reached: add it to allow, or set base_url"
            )


async def _fetched(config: OpenapiConfig) -> bytes:
    address = config.document
    egress = Egress([*config.allow, origin(address)], where="allow of the source")
    try:
        async with guarded_client(egress, timeout=config.timeout, follow_redirects=True) as http:
            with reaching(address):
                async with http.stream("GET", address) as response:
                    text = await external_resource.body(address, response, config.document_max_bytes)
            if not response.is_success:
                raise refusal(address, response, text[:500].decode(errors="replace"), now=clock.now())
            return text
    except (Unavailable, RateLimited) as error:
        raise SourceUnavailable(error.message) from error
    except ToolError as error:
        raise SourceInvalid(error.message) from error
