"""The planner's gRPC face, procedures: what there is, and runs that a request starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.planner.grpc_status import TRANSLATED, Context, abort, check, refuse
from factotum.planner.library import Library
from factotum.planner.planning import LONGEST_USER, can_be_user
from factotum.planner.requests import Requests
from factotum.procedures.parse import Source

LONGEST_REQUEST_ID = 256


class ProcedureCalls:
    """The calls of `PlannerService` that are about procedures."""

    def __init__(self, *, library: Library, requests: Requests) -> None:
        self._library = library
        self._requests = requests

    async def ListProcedures(self, request: pb.ListProceduresRequest, context: Context) -> pb.ListProceduresResponse:
        await check(context, tenant=request.tenant)
        try:
            sources = await self._library.newest(request.tenant)
            versions = await self._library.versions(request.tenant)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListProceduresResponse(
            procedures=[_procedure(source, versions.get(source.document.full_name, ())) for source in sources]
        )

    async def RegisterProcedure(
        self, request: pb.RegisterProcedureRequest, context: Context
    ) -> pb.RegisterProcedureResponse:
        await check(context, tenant=request.tenant)
        try:
            source, added = await self._requests.register(request.tenant, request.document)
        except TRANSLATED as error:
            await abort(context, error)
        header = source.document.document
        return pb.RegisterProcedureResponse(procedure=source.document.full_name, version=header.version, added=added)

    async def GetProcedure(self, request: pb.GetProcedureRequest, context: Context) -> pb.GetProcedureResponse:
        await _check_name(context, request)
        try:
            found = await self._library.find(request.tenant, request.procedure, request.version)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.GetProcedureResponse(procedure=_procedure(found.source), document=found.text)

    async def StartRun(self, request: pb.StartRunRequest, context: Context) -> pb.StartRunResponse:
        await _check_name(context, request)
        if not 1 <= len(request.request_id) <= LONGEST_REQUEST_ID:
            await refuse(context, f"request_id must have 1 to {LONGEST_REQUEST_ID} characters")
        if not can_be_user(request.user):
            await refuse(context, f"user must have at most {LONGEST_USER} characters, none of them a control character")
        try:
            given = json.loads(request.input_json) if request.input_json else None
        except ValueError as error:
            await refuse(context, f"input_json is not JSON: {error}")
        try:
            plan, started = await self._requests.start(
                request.tenant,
                procedure=request.procedure,
                version=request.version,
                given=given,
                request_id=request.request_id,
                user=request.user,
            )
        except TRANSLATED as error:
            await abort(context, error)
        document = plan.source.document
        made = pb.Plan(run_id=plan.run_id, procedure=document.full_name, procedure_version=document.document.version)
        return pb.StartRunResponse(plan=made, started=started)


async def _check_name(context: Context, request: Any) -> None:
    await check(context, tenant=request.tenant, procedure=request.procedure, version=request.version)
    if not request.procedure:
        await refuse(context, "procedure must be namespace/name")


def _procedure(source: Source, versions: Sequence[str] = ()) -> pb.Procedure:
    header, schedule = source.document.document, source.document.schedule
    consumed = schedule.on if schedule is not None else None
    return pb.Procedure(
        procedure=source.document.full_name,
        version=header.version,
        title=header.title,
        summary=header.summary,
        event_types=[
            str(wanted.with_["type"])
            for wanted in (consumed.filters if consumed is not None else ())
            if "type" in wanted.with_
        ],
        versions=versions,
    )
