"""What people may ask of the planner, and which status a refusal is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.planner.grpc_approvals import ApprovalCalls
from factotum.runs.decisions import LeftTask, WaitingCall
from factotum.runs.errors import CallChanged, NoAnswer, NotAmongThem, NothingWaits, RunNotFound
from factotum.runtime import groups
from factotum.runtime.groups import Groups, GroupsFile, GroupsInvalid
from factotum.workflows.contract import Decision, PendingApproval, PersonTask

RUN = "acme.order.00112233445566778899"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ASKED = PendingApproval(
    step="/do/0/order",
    iteration="1",
    tool="shop.order",
    arguments={"what": "laptop"},
    call_sha256="ab" * 32,
    summary="Order",
    by=["group:it"],
    count=1,
    asked_at=NOW,
)
TASK = PersonTask(
    kind="undo", step="/do/0/a", iteration="", tool="x.undo", arguments={"id": 7}, idempotency_key="k", error="away"
)


class Aborted(Exception):
    """The call ended with this status."""


class Context:
    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        raise Aborted(code.name)


class ScriptedDecisions:
    """Has one call that waits, and refuses as told."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.taken: list[tuple[str, str, Decision]] = []

    async def approvals(self, tenant: str, run_id: str = "") -> tuple[list[WaitingCall], list[str]]:
        if self.refusal:
            raise self.refusal
        return [WaitingCall(RUN, "it/order", ASKED)], ["acme.other.1"]

    async def decide(self, tenant: str, run_id: str, decision: Decision) -> bool:
        if self.refusal:
            raise self.refusal
        self.taken.append((tenant, run_id, decision))
        return True

    async def tasks(self, tenant: str, *, limit: int) -> list[LeftTask]:
        return [LeftTask(RUN, "it/order", NOW, TASK)] * min(limit, 2)


@pytest.fixture
def decisions() -> ScriptedDecisions:
    return ScriptedDecisions()


@pytest.fixture
def calls(decisions: ScriptedDecisions) -> ApprovalCalls:
    scripted: Any = decisions
    file = GroupsFile(tenants={"acme": {"it": ["ada", "bob"], "hr": ["mary"]}, "globex": {"it": ["eve"]}})
    return ApprovalCalls(decisions=scripted, groups=Groups(file))


CONTEXT: Any = Context()


def deciding(**fields: Any) -> pb.DecideRequest:
    given = {
        "tenant": "acme",
        "run_id": RUN,
        "step": "/do/0/order",
        "iteration": "1",
        "call_sha256": "ab" * 32,
        "approve": True,
        "by": "ada",
        "because": "yes",
    }
    return pb.DecideRequest(**{**given, **fields})


async def test_a_decision_goes_to_the_run_with_the_groups_of_who_decides(
    calls: ApprovalCalls, decisions: ScriptedDecisions
) -> None:
    assert (await calls.Decide(deciding(), CONTEXT)).settled is True
    ((tenant, run_id, decision),) = decisions.taken
    assert (tenant, run_id, decision.by, decision.groups) == ("acme", RUN, "ada", ["it"])
    assert (decision.step, decision.iteration, decision.call_sha256) == ("/do/0/order", "1", "ab" * 32)
    assert (decision.approve, decision.because) == (True, "yes")
    await calls.Decide(deciding(by="eve"), CONTEXT)
    assert decisions.taken[-1][2].groups == [], "the groups of another tenant are not ours"


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (NothingWaits("x"), "NOT_FOUND"),
        (RunNotFound("x"), "NOT_FOUND"),
        (CallChanged("x"), "FAILED_PRECONDITION"),
        (NotAmongThem("x"), "PERMISSION_DENIED"),
        (NoAnswer("x"), "UNAVAILABLE"),
    ],
)
async def test_a_refusal_is_a_status(
    calls: ApprovalCalls, decisions: ScriptedDecisions, refusal: Exception, status: str
) -> None:
    decisions.refusal = refusal
    with pytest.raises(Aborted, match=f"^{status}$"):
        await calls.Decide(deciding(), CONTEXT)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (["group:it"], "root is none of them"),
        (
            ["ada", "group:people", "group:it"],
            "root is none of them (nobody is in group:people: see config/groups.yaml",
        ),
    ],
)
async def test_that_a_group_has_nobody_is_said(
    calls: ApprovalCalls, decisions: ScriptedDecisions, monkeypatch: pytest.MonkeyPatch, asked: list[str], told: str
) -> None:
    class Telling(Context):
        async def abort(self, code: grpc.StatusCode, details: str) -> None:
            raise Aborted(details)

    async def refused(*_: object) -> bool:
        raise NotAmongThem("root is none of them")

    async def approvals(*_: object) -> tuple[list[WaitingCall], list[str]]:
        return [WaitingCall(RUN, "it/order", ASKED.model_copy(update={"by": asked}))], []

    monkeypatch.setattr(decisions, "decide", refused)
    monkeypatch.setattr(decisions, "approvals", approvals)
    context: Any = Telling()
    with pytest.raises(Aborted) as refusal:
        await calls.Decide(deciding(by="root"), context)
    assert str(refusal.value).startswith(told) and ("nobody" in told or "nobody" not in str(refusal.value))


@pytest.mark.parametrize(
    "fields",
    [
        {"by": "group:it"},
        {"by": " "},
        {"by": "a" * 257},
        {"call_sha256": "ab"},
        {"call_sha256": "ab" * 32 + "\n"},
        {"because": "b" * 2001},
        {"tenant": "Acme"},
    ],
)
async def test_nobody_decides_as_a_group_or_on_what_was_not_looked_at(
    calls: ApprovalCalls, decisions: ScriptedDecisions, fields: dict[str, str]
) -> None:
    with pytest.raises(Aborted, match=r"^INVALID_ARGUMENT$"):
        await calls.Decide(deciding(**fields), CONTEXT)
    assert decisions.taken == []


async def test_what_waits_and_what_is_left_become_messages(calls: ApprovalCalls) -> None:
    listed = await calls.ListApprovals(pb.ListApprovalsRequest(tenant="acme"), CONTEXT)
    (asked,) = listed.approvals
    assert (asked.run_id, asked.procedure, asked.arguments_json) == (RUN, "it/order", '{"what": "laptop"}')
    assert (asked.by, asked.HasField("until"), list(listed.unanswered)) == (["group:it"], False, ["acme.other.1"])
    (task,) = (await calls.ListTasks(pb.ListTasksRequest(tenant="acme", limit=1), CONTEXT)).tasks
    assert (task.run_id, task.procedure, task.arguments_json) == (RUN, "it/order", '{"id": 7}')
    assert task.ended_at.ToDatetime(tzinfo=UTC) == NOW
    with pytest.raises(Aborted, match="INVALID_ARGUMENT"):
        await calls.ListTasks(pb.ListTasksRequest(tenant="acme", limit=501), CONTEXT)


def test_groups_are_read_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "groups.yaml"
    file.write_text("tenants:\n  acme:\n    it: [ada, bob]\n    board: [ada]\n")
    found = groups.load(file)
    assert (found.of("acme", "ada"), found.of("acme", "eve"), found.of("globex", "ada")) == (["it", "board"], [], [])
    assert groups.load(None).of("acme", "ada") == []


@pytest.mark.parametrize(
    "text", ["tenants: [acme]", "people: {}", "tenants: {Acme: {}}", "tenants: {acme: {it: ada}}", "a: ["]
)
def test_a_file_of_groups_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "groups.yaml"
    file.write_text(text)
    with pytest.raises(GroupsInvalid, match=r"groups\.yaml"):
        groups.load(file)
    with pytest.raises(GroupsInvalid, match="FACTOTUM_GROUPS_FILE"):
        groups.load(tmp_path / "none.yaml")
