"""Where what a procedure needs comes from: the library, allowed folders, and the web as the tenant may reach it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import grpc
import yaml

from factotum.api.tools.v1 import tools_pb2, tools_pb2_grpc
from factotum.planner.errors import CatalogUnavailable, UnknownProcedure
from factotum.planner.library import Library
from factotum.planner.resolution import Unreachable
from factotum.procedures.parse import MAX_BYTES, Source
from factotum.procedures.protocols import PROTOCOLS

Json = Any

TIMEOUT_SECONDS = 30.0
_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Fetching:
    """Makes a tenant's `resolution.Fetch`.

    Args:
        roots: folders that `file:` addresses may point into.
        new_key: a new idempotency key for each fetch: what was answered before is not asked for.
    """

    def __init__(
        self, *, library: Library, channel: grpc.aio.Channel, roots: Sequence[Path], new_key: Callable[[], str]
    ) -> None:
        self._library = library
        self._stub = tools_pb2_grpc.ToolExecutorServiceStub(channel)
        self._roots = tuple(roots)
        self._new_key = new_key

    def of(self, tenant: str) -> TenantFetch:
        return TenantFetch(tenant, self._library, self._stub, self._roots, self._new_key)


class TenantFetch:
    """`resolution.Fetch` of one tenant. Besides `Unreachable`, raises `CatalogUnavailable` while the tool executor
    does not answer, and `StoreUnavailable`."""

    def __init__(
        self,
        tenant: str,
        library: Library,
        stub: tools_pb2_grpc.ToolExecutorServiceAsyncStub,
        roots: tuple[Path, ...],
        new_key: Callable[[], str],
    ) -> None:
        self._tenant = tenant
        self._library = library
        self._stub = stub
        self._roots = roots
        self._new_key = new_key

    async def procedure(self, name: str, version: str) -> Source:
        try:
            return (await self._library.find(self._tenant, name, version)).source
        except UnknownProcedure as error:
            raise Unreachable(str(error)) from error

    async def document(self, uri: str, authentication: Json) -> Json:
        if "${" in uri or "{" in uri:
            raise Unreachable(f"{uri} is fetched before the run, where nothing can be put in")
        match urlsplit(uri).scheme:
            case "file":
                text = await asyncio.to_thread(_read, uri, self._roots)
            case "http" | "https":
                text = await self._get(uri, authentication)
            case scheme:
                raise Unreachable(f"{uri}: `{scheme}:` is not known; https, http and file are")
        try:
            # JSON is YAML. An alias that holds aliases would grow without bound when it is written out.
            if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.CSafeLoader)):
                raise Unreachable(f"{uri} has YAML aliases")
            return json.loads(json.dumps(yaml.load(text, Loader=yaml.CSafeLoader), allow_nan=False, default=str))
        except (yaml.YAMLError, ValueError) as error:
            raise Unreachable(f"{uri} is neither YAML nor JSON: {' '.join(str(error).split())}") from error

    async def _get(self, uri: str, authentication: Json) -> str:
        """By the tool `http.request`, whose settings say what the tenant may reach."""
        endpoint: Json = uri if authentication is None else {"uri": uri, "authentication": authentication}
        request = tools_pb2.ExecuteRequest(
            tenant=self._tenant,
            tool=PROTOCOLS["http"],
            arguments_json=json.dumps({"method": "GET", "endpoint": endpoint, "output": "raw", "redirect": True}),
            idempotency_key=self._new_key(),
        )
        try:
            answer = await self._stub.Execute(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            message = f"{uri} cannot be fetched: tool-executor: {error.code().name} {error.details()}"
            raise (CatalogUnavailable if error.code() in _PASSING else Unreachable)(message) from error
        if answer.observation.HasField("error"):
            raise Unreachable(f"{uri} cannot be fetched: {answer.observation.error.message}")
        try:
            content = base64.b64decode(json.loads(answer.observation.output_json) or "", validate=True)
            text = content.decode()
        except (binascii.Error, ValueError, TypeError) as error:
            raise Unreachable(f"{uri} is no text in UTF-8") from error
        if len(content) > MAX_BYTES:
            raise Unreachable(f"{uri} is larger than {MAX_BYTES} bytes")
        return text


def _read(uri: str, roots: tuple[Path, ...]) -> str:
    split = urlsplit(uri)
    path = Path(unquote(split.path)).resolve()
    if split.netloc not in ("", "localhost") or not any(path.is_relative_to(root.resolve()) for root in roots):
        raise Unreachable(f"{uri} lies in no folder that the planner may read (FACTOTUM_CATALOG_FOLDERS)")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Unreachable(f"{uri} is larger than {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreachable(f"{uri} cannot be read: {getattr(error, 'strerror', None) or error}") from error
