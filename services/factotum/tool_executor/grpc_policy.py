"""The gRPC face, permission: what policy says of calls that nobody makes."""

from __future__ import annotations

from factotum.api.tools.v1 import tools_pb2 as pb
from factotum.tool_executor.authorising import Authorising, Planned, PlannedSecrets
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.execution import check_origin, check_tenant
from factotum.tool_executor.grpc_status import TRANSLATED, Context, abort
from factotum.tool_executor.policy.asking import Principal
from factotum.tool_executor.policy.verdicts import Judgement


class PolicyCalls:
    """The calls of `ToolExecutorService` that are about permission."""

    def __init__(self, *, authorising: Authorising) -> None:
        self._authorising = authorising

    async def Authorize(self, request: pb.AuthorizeRequest, context: Context) -> pb.AuthorizeResponse:
        try:
            principal = _principal(request.tenant, request.user, request.procedure)
            planned = Planned(request.tool, request.arguments_json, secrets=_secrets(request))
            judgement = await self._authorising.judge(principal, planned)
        except TRANSLATED as error:
            await abort(context, error)
        return _message(judgement)

    async def AuthorizePlan(self, request: pb.AuthorizePlanRequest, context: Context) -> pb.AuthorizePlanResponse:
        try:
            judgements = [
                self._authorising.judge_plan(
                    _principal(request.tenant, request.user, call.procedure),
                    Planned(call.tool, call.arguments_json, tuple(call.unknown), _secrets(call)),
                )
                for call in request.calls
            ]
        except TRANSLATED as error:
            await abort(context, error)
        return pb.AuthorizePlanResponse(calls=map(_message, judgements))


def _principal(tenant: str, user: str, procedure: str) -> Principal:
    """Raises `CallRefused`."""
    check_tenant(tenant)
    check_origin(Origin(user=user, procedure=procedure))
    return Principal(tenant, user, procedure)


def _secrets(request: pb.AuthorizeRequest | pb.PlannedCall) -> PlannedSecrets | None:
    if not request.HasField("secrets"):
        return None
    told = request.secrets
    return PlannedSecrets(frozenset(told.names), told.others, tuple(told.hidden))


def _message(judgement: Judgement) -> pb.AuthorizeResponse:
    return pb.AuthorizeResponse(
        verdict=pb.Verdict.Value(f"VERDICT_{judgement.verdict.name}"),
        policies=judgement.policies,
        explanation=judgement.explanation,
    )
