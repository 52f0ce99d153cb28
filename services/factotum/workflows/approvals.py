"""Calls that wait for a person. A decision is bound to the hash of the very call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from factotum.procedures.metadata import Approval, Escalation
from factotum.sdk.approval import call_sha256
from factotum.workflows import problem
from factotum.workflows.contract import ApprovalProof, Decision, PendingApproval
from factotum.workflows.place import Place
from factotum.workflows.problem import Problem
from factotum.workflows.racing import ended, first_done

if TYPE_CHECKING:
    from factotum.workflows.interpreter import Interpreter

REQUESTED_TYPE = "io.factotum.approval.requested"
GROUP = "group:"


class NotDecidable(Exception):
    """A decision that cannot be taken. `reason` is one of `not_waiting`, `call_changed`, `not_allowed`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class _Waiting:
    """A call that waits here and now."""

    asked: PendingApproval
    approved_by: list[str] = field(default_factory=list)
    refused: Decision | None = None
    bell: asyncio.Future[None] | None = None

    @property
    def settled(self) -> bool:
        return self.refused is not None or len(self.approved_by) >= self.asked.count


class Approvals:
    """What waits for people in one run.

    Attributes:
        changed: is told whether anything waits, whenever that may have changed.
    """

    def __init__(self, granted: dict[str, list[str]] | None = None) -> None:
        self.changed: Callable[[bool], None] | None = None
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        # By step, iteration and hash: the very same call, tried again, asks nobody again.
        self._granted: dict[str, list[str]] = granted or {}

    def as_json(self) -> dict[str, list[str]]:
        return self._granted

    @property
    def pending(self) -> list[PendingApproval]:
        return [
            waiting.asked.model_copy(update={"approved_by": list(waiting.approved_by)})
            for waiting in self._waiting.values()
            if not waiting.settled
        ]

    def check(self, decision: Decision) -> None:
        """Raises `NotDecidable` if the decision cannot be taken."""
        self._find(decision)

    def decide(self, decision: Decision) -> bool:
        """Takes a decision; whether the call is settled by it. Raises `NotDecidable`."""
        waiting = self._find(decision)
        if not decision.approve:
            waiting.refused = decision
        elif decision.by not in waiting.approved_by:
            waiting.approved_by.append(decision.by)
        if waiting.settled and waiting.bell is not None and not waiting.bell.done():
            waiting.bell.set_result(None)
        return waiting.settled

    def _find(self, decision: Decision) -> _Waiting:
        found = [
            waiting
            for (step, iteration), waiting in self._waiting.items()
            if step == decision.step and decision.iteration in ("", iteration) and not waiting.settled
        ]
        if not found:
            raise NotDecidable("not_waiting", f"nothing waits for a decision at {decision.step}")
        if len(found) > 1:
            iterations = ", ".join(waiting.asked.iteration for waiting in found)
            raise NotDecidable("not_waiting", f"{decision.step} waits in the iterations {iterations}: name one")
        waiting = found[0]
        if decision.call_sha256 != waiting.asked.call_sha256:
            raise NotDecidable("call_changed", "the call is another one by now: look at it again")
        wanted = {decision.by, *(GROUP + group for group in decision.groups)}
        if not wanted & set(waiting.asked.by):
            raise NotDecidable("not_allowed", f"{decision.by} is none of {', '.join(waiting.asked.by)}")
        return waiting

    async def obtain(
        self,
        run: Interpreter,
        approval: Approval,
        place: Place,
        *,
        tenant: str,
        tool: str,
        arguments: Mapping[str, Any],
        summary: str,
    ) -> ApprovalProof:
        """Waits until people have agreed to this very call. Raises `Problem` if they refuse or time runs out.

        What was decided before on the same call, in this or an earlier execution of the run, still counts.
        """
        sha256 = call_sha256(tenant=tenant, tool=tool, arguments=arguments)
        granted = f"{place.pointer}|{place.iteration}|{sha256}"
        if granted in self._granted:
            return ApprovalProof(call_sha256=sha256, by=self._granted[granted])
        frame = place.frame
        # In the frame, so that a decision outlives the execution; another call begins anew.
        if frame.get("asked_sha256") != sha256:
            frame.update(
                asked_sha256=sha256,
                stage=0,
                count=approval.count,
                approved_by=[],
                asked_at=run.effects.now().timestamp(),
            )
            for name in ("asked_until", "told"):
                frame.pop(name, None)
        stages: list[Approval | Escalation] = [approval]
        if isinstance(approval.otherwise, Escalation):
            stages.append(approval.otherwise)
        while frame["stage"] < len(stages):
            stage = stages[frame["stage"]]
            waiting = await self._ask(run, stage, place, tool=tool, arguments=arguments, summary=summary)
            if waiting.refused is not None:
                because = f": {waiting.refused.because}" if waiting.refused.because else ""
                detail = f"{waiting.refused.by} refused the call{because}"
                raise Problem(problem.AUTHORIZATION, 403, "refused", detail, place.pointer)
            if waiting.settled:
                self._granted[granted] = list(waiting.approved_by)
                return ApprovalProof(call_sha256=sha256, by=self._granted[granted])
            frame.update(stage=frame["stage"] + 1, approved_by=[])
            for name in ("asked_until", "told"):
                frame.pop(name, None)
        raise Problem(problem.TIMEOUT, 408, "not approved", "nobody decided on the call in time", place.pointer)

    async def _ask(
        self,
        run: Interpreter,
        stage: Approval | Escalation,
        place: Place,
        *,
        tool: str,
        arguments: Mapping[str, Any],
        summary: str,
    ) -> _Waiting:
        frame = place.frame
        if stage.within is not None and "asked_until" not in frame:
            where = f"{place.pointer}/metadata/approval/within"
            seconds = await run.seconds(stage.within, place.value, place.arguments, where)
            frame["asked_until"] = run.effects.now().timestamp() + seconds
        until = frame.get("asked_until")
        where = f"{place.pointer}/metadata/approval/by"
        by = [str(name) for name in await run.resolve(list(stage.by), place.value, place.arguments, where)]
        asked = PendingApproval(
            step=place.pointer,
            iteration=place.iteration,
            tool=tool,
            arguments=dict(arguments),
            call_sha256=frame["asked_sha256"],
            summary=summary,
            by=by,
            count=stage.count or frame["count"],
            asked_at=datetime.fromtimestamp(frame["asked_at"], UTC),
            until=None if until is None else datetime.fromtimestamp(until, UTC),
        )
        waiting = _Waiting(asked, frame["approved_by"])
        key = (place.pointer, place.iteration)
        self._waiting[key] = waiting
        self._tell_change()
        try:
            if not frame.get("told"):
                await _tell(run, asked)
                frame["told"] = True
            await _decided(run, waiting, until)
        finally:
            del self._waiting[key]
            self._tell_change()
        return waiting

    def _tell_change(self) -> None:
        if self.changed is not None:
            self.changed(bool(self._waiting))


async def _decided(run: Interpreter, waiting: _Waiting, until: float | None) -> None:
    if waiting.settled:
        return
    waiting.bell = asyncio.get_running_loop().create_future()
    if until is None:
        await waiting.bell
        return
    timer = asyncio.ensure_future(run.sleep_until(until))
    try:
        await first_done((waiting.bell, timer))
    finally:
        await ended(timer)


async def _tell(run: Interpreter, asked: PendingApproval) -> None:
    """Publishes that somebody is asked, so that a procedure of the company can call them."""
    data = {
        "run_id": run.run_id,
        **asked.model_dump(mode="json", exclude={"arguments"}),
        "until": None if asked.until is None else asked.until.isoformat(),
    }
    await run.publish(
        {"source": "/factotum/runs", "type": REQUESTED_TYPE, "subject": run.run_id, "data": data},
        pointer=asked.step,
        iteration=f"{asked.iteration}:{asked.call_sha256}:{','.join(asked.by)}",
        summary=f"ask {', '.join(asked.by)}",
    )
