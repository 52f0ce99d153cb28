"""The planner's gRPC face, people: what they are asked, what they decide, what is left for them."""

from __future__ import annotations

import re

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.planner.grpc_runs import approval_message, stamp, task_message
from factotum.planner.grpc_status import TRANSLATED, Context, abort, check, refuse
from factotum.runs.decisions import Decisions
from factotum.runs.errors import NotAmongThem
from factotum.runtime.groups import Groups
from factotum.workflows.approvals import GROUP
from factotum.workflows.contract import Decision

DEFAULT_LIMIT, MAX_LIMIT = 50, 500
LONGEST_NAME = 256
# A reason travels in the run's history and in its failure.
LONGEST_REASON = 2_000

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ApprovalCalls:
    """The calls of `PlannerService` that people make."""

    def __init__(self, *, decisions: Decisions, groups: Groups) -> None:
        self._decisions = decisions
        self._groups = groups

    async def ListApprovals(self, request: pb.ListApprovalsRequest, context: Context) -> pb.ListApprovalsResponse:
        await check(context, tenant=request.tenant, run_id=request.run_id or None)
        try:
            waiting, unanswered = await self._decisions.approvals(request.tenant, request.run_id)
        except TRANSLATED as error:
            await abort(context, error)
        return pb.ListApprovalsResponse(
            approvals=[approval_message(call.asked, call.run_id, call.procedure) for call in waiting],
            unanswered=unanswered,
        )

    async def Decide(self, request: pb.DecideRequest, context: Context) -> pb.DecideResponse:
        await check(context, tenant=request.tenant, run_id=request.run_id)
        # What the document names with a colon is a group, which nobody is called.
        if not request.by.strip() or ":" in request.by or len(request.by) > LONGEST_NAME:
            await refuse(context, f"by must be a name of 1 to {LONGEST_NAME} characters without a colon")
        if not _SHA256.fullmatch(request.call_sha256):
            await refuse(context, "call_sha256 must be 64 hexadecimal digits: those of the call that was looked at")
        if len(request.because) > LONGEST_REASON:
            await refuse(context, f"because must have at most {LONGEST_REASON} characters")
        decision = Decision(
            step=request.step,
            iteration=request.iteration,
            call_sha256=request.call_sha256,
            approve=request.approve,
            by=request.by,
            groups=self._groups.of(request.tenant, request.by),
            because=request.because,
        )
        try:
            settled = await self._decisions.decide(request.tenant, request.run_id, decision)
        except NotAmongThem as error:
            await abort(context, NotAmongThem(f"{error}{await self._of_nobody(request)}"))
        except TRANSLATED as error:
            await abort(context, error)
        return pb.DecideResponse(settled=settled)

    async def _of_nobody(self, request: pb.DecideRequest) -> str:
        """Says of the groups that were asked, and that nobody is in, that it is so."""
        try:
            waiting, _ = await self._decisions.approvals(request.tenant, request.run_id)
        except TRANSLATED:
            # It only explains a refusal, which stands.
            return ""
        names = {name for call in waiting if call.asked.step == request.step for name in call.asked.by}
        groups = sorted(name.removeprefix(GROUP) for name in names if name.startswith(GROUP))
        empty = [GROUP + name for name in groups if not self._groups.anybody(request.tenant, name)]
        if not empty:
            return ""
        return (
            f" (nobody is in {', '.join(empty)}: see config/groups.yaml, or the file that FACTOTUM_GROUPS_FILE names)"
        )

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        await check(context, tenant=request.tenant)
        limit = request.limit or DEFAULT_LIMIT
        if not 1 <= limit <= MAX_LIMIT:
            await refuse(context, f"limit must be 1 to {MAX_LIMIT}")
        try:
            left = await self._decisions.tasks(request.tenant, limit=limit)
        except TRANSLATED as error:
            await abort(context, error)
        found = []
        for each in left:
            message = task_message(each.task)
            message.run_id, message.procedure = each.run_id, each.procedure
            if (ended := stamp(each.ended_at)) is not None:
                message.ended_at.CopyFrom(ended)
            found.append(message)
        return pb.ListTasksResponse(tasks=found)
