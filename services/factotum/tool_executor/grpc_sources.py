"""The gRPC face, sources: those that a tenant adds and removes."""

from __future__ import annotations

import json

from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.execution import check_tenant
from factotum.tool_executor.grpc_status import TRANSLATED, Context, abort
from factotum.tool_executor.probing import Prober
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.python import Listed
from factotum.tool_executor.sources.store import Definition


class SourceCalls:
    """The calls of `ToolExecutorService` that are about sources, and about trying their tools."""

    def __init__(self, *, sources: Sources, prober: Prober) -> None:
        self._sources = sources
        self._prober = prober

    async def AddSource(self, request: pb.AddSourceRequest, context: Context) -> pb.AddSourceResponse:
        try:
            check_tenant(request.tenant)
            listed = await self._sources.add(
                Definition(
                    tenant=request.tenant,
                    system=request.system,
                    kind=request.kind,
                    config_json=_object(request.config_json),
                    document=request.document,
                )
            )
        except TRANSLATED as error:
            await abort(context, error, of=request.system)
        return pb.AddSourceResponse(source=_source(listed), tools=listed.tools)

    async def RemoveSource(self, request: pb.RemoveSourceRequest, context: Context) -> pb.RemoveSourceResponse:
        try:
            check_tenant(request.tenant)
            await self._sources.remove(request.tenant, request.system)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.RemoveSourceResponse()

    async def ListSources(self, request: pb.ListSourcesRequest, context: Context) -> pb.ListSourcesResponse:
        try:
            check_tenant(request.tenant)
            listed = self._sources.listed(request.tenant)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListSourcesResponse(sources=[_source(it) for it in listed])

    async def RefreshSource(self, request: pb.RefreshSourceRequest, context: Context) -> pb.RefreshSourceResponse:
        try:
            check_tenant(request.tenant)
            listed, changes = await self._sources.refresh(request.tenant, request.system)
        except TRANSLATED as error:
            await abort(context, error, of=request.system)
        return pb.RefreshSourceResponse(
            source=_source(listed), added=changes.added, removed=changes.removed, changed=changes.changed
        )

    async def TestTool(self, request: pb.TestToolRequest, context: Context) -> pb.TestToolResponse:
        try:
            checks = await self._prober.probe(request.tenant, request.tool, user=request.user)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.TestToolResponse(
            checks=[
                pb.TestToolResponse.Check(name=check.name, passed=check.passed, message=check.message)
                for check in checks
            ]
        )


def _object(text: str) -> str:
    """The configuration in a form of its own, so that the same one is the same text. Raises `CallRefused`."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise CallRefused("config_json is not JSON") from error
    if not isinstance(value, dict):
        raise CallRefused("config_json must be a JSON object")
    return json.dumps(value, ensure_ascii=False)


def _source(listed: Listed) -> pb.Source:
    read_at = None
    if listed.read_at is not None:
        read_at = Timestamp()
        read_at.FromDatetime(listed.read_at)
    return pb.Source(
        tenant=listed.tenant,
        system=listed.system,
        kind=listed.kind,
        config_json=listed.config_json,
        tools=len(listed.tools),
        fault=listed.fault,
        read_at=read_at,
    )
