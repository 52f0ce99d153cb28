"""People at the command line: they see a call and decide on that very one."""

from __future__ import annotations

import getpass
import json
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.cli import approvals
from factotum.cli.main import app
from tests.support.stubs import Stubs

RUN = "acme.order.00112233445566778899"
SHA256 = "ab" * 32
KEY = f"{RUN}:/do/0/reserve::undo"


def asked(**fields: Any) -> pb.PendingApproval:
    given = {
        "run_id": RUN,
        "procedure": "it/order",
        "step": "/do/1/order",
        "tool": "shop.order",
        "arguments_json": '{"what": "laptop"}',
        "call_sha256": SHA256,
        "summary": "Order a laptop",
        "by": ["ada", "group:it"],
        "count": 2,
        "approved_by": ["bob"],
    }
    return pb.PendingApproval(**{**given, **fields})


@pytest.fixture
def waiting(parts: Stubs) -> Stubs:
    parts.planner.answers["ListApprovals"] = pb.ListApprovalsResponse(approvals=[asked()])
    parts.planner.answers["Decide"] = pb.DecideResponse(settled=True)
    return parts


def invoke(runner: CliRunner, *arguments: str, given: str = "") -> Result:
    return runner.invoke(app, list(arguments), input=given)


def decided(parts: Stubs) -> list[pb.DecideRequest]:
    return [request for request in parts.planner.requests if isinstance(request, pb.DecideRequest)]


def test_what_waits_is_a_table_and_json(runner: CliRunner, waiting: Stubs) -> None:
    answer = pb.ListApprovalsResponse(approvals=[asked()], unanswered=["acme.other.1"])
    waiting.planner.answers["ListApprovals"] = answer
    table = invoke(runner, "approvals", "--run", RUN)
    for words in (RUN, "/do/1/order", "shop.order", "laptop", "ada, group:it", "1 of 2 (bob)", SHA256[:12]):
        assert words in table.stdout
    assert "acme.other.1 waits for a person too" in table.stderr
    assert waiting.planner.requests == [pb.ListApprovalsRequest(tenant="acme", run_id=RUN)]
    found = json.loads(invoke(runner, "approvals", "--json").stdout)
    assert found["approvals"][0]["arguments"] == {"what": "laptop"}
    assert found["unanswered"] == ["acme.other.1"]


def test_a_decision_is_on_the_call_that_was_shown(runner: CliRunner, waiting: Stubs) -> None:
    done = invoke(runner, "approve", RUN, "order", "--as", "ada", "--because", "he needs it", "--yes")
    assert done.exit_code == 0
    assert SHA256 in done.stderr and '"what": "laptop"' in done.stderr
    assert done.stdout == f"{RUN} /do/1/order approved by ada: the run goes on\n"
    assert decided(waiting) == [
        pb.DecideRequest(
            tenant="acme",
            run_id=RUN,
            step="/do/1/order",
            call_sha256=SHA256,
            approve=True,
            by="ada",
            because="he needs it",
        )
    ]


def test_who_is_not_named_is_who_is_logged_in(runner: CliRunner, waiting: Stubs) -> None:
    waiting.planner.answers["Decide"] = pb.DecideResponse(settled=False)
    done = invoke(runner, "deny", RUN, "/do/1", "--yes", "--json")
    (request,) = decided(waiting)
    assert (request.approve, request.by) == (False, getpass.getuser())
    found = json.loads(done.stdout)
    assert (found["approve"], found["settled"], found["approval"]["call_sha256"]) == (False, False, SHA256)
    assert done.stderr == ""


@pytest.mark.parametrize(("answer", "status", "count"), [("y\n", 0, 1), ("n\n", 1, 0), ("\n", 1, 0)])
def test_on_a_terminal_it_is_confirmed(
    runner: CliRunner, waiting: Stubs, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, count: int
) -> None:
    monkeypatch.setattr(approvals, "on_a_terminal", lambda: True)
    done = invoke(runner, "approve", RUN, "order", "--as", "ada", given=answer)
    assert (done.exit_code, len(decided(waiting))) == (status, count)
    assert "approve this call as ada?" in done.stderr


def test_without_a_terminal_nothing_is_decided_by_itself(runner: CliRunner, waiting: Stubs) -> None:
    done = invoke(runner, "approve", RUN, "order", given="y\n")
    assert done.exit_code == 2
    assert "add --yes" in done.stderr
    assert waiting.planner.requests == []


def test_a_call_other_than_the_one_seen_earlier_is_not_decided_on(runner: CliRunner, waiting: Stubs) -> None:
    assert invoke(runner, "approve", RUN, "order", "--yes", "--sha256", SHA256[:6].upper()).exit_code == 0
    done = invoke(runner, "approve", RUN, "order", "--yes", "--sha256", "ffff")
    assert done.exit_code == 1
    assert "another one by now" in done.stderr
    assert len(decided(waiting)) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        (grpc.StatusCode.NOT_FOUND, "nothing waits for a decision at /do/1/order"),
        (grpc.StatusCode.FAILED_PRECONDITION, "the call is another one by now: look at it again"),
        (grpc.StatusCode.PERMISSION_DENIED, "eve is none of ada, group:it"),
    ],
)
def test_a_refused_decision_is_a_sentence(runner: CliRunner, waiting: Stubs, refusal: tuple[Any, str]) -> None:
    waiting.planner.answers["Decide"] = refusal
    done = invoke(runner, "approve", RUN, "order", "--as", "eve", "--yes")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.endswith(f"factotum: {refusal[1]}\n")


def left(**fields: Any) -> pb.PersonTask:
    given = {
        "kind": "undo",
        "step": "/do/0/reserve",
        "tool": "shop.release",
        "arguments_json": '{"id": 7}',
        "idempotency_key": KEY,
        "error": "the shop is closed",
    }
    return pb.PersonTask(**{**given, **fields})


def test_what_is_left_to_people_has_all_that_it_takes(runner: CliRunner, parts: Stubs) -> None:
    doubt = left(kind="find out", idempotency_key=f"{RUN}:/do/0/reserve:", run_id=RUN, procedure="it/order")
    parts.planner.answers["ListTasks"] = pb.ListTasksResponse(tasks=[left(run_id=RUN, procedure="it/order"), doubt])
    shown = invoke(runner, "tasks", "--limit", "3")
    for words in (
        RUN,
        "it/order",
        "undo /do/0/reserve by hand: shop.release",
        '{"id": 7}',
        "the shop is closed",
        KEY,
        f"factotum effects list --run {RUN}",
        f"factotum effects resolve '{RUN}:/do/0/reserve:' --happened|--did-not",
    ):
        assert words in shown.stdout
    assert parts.planner.requests == [pb.ListTasksRequest(tenant="acme", limit=3)]
    found = json.loads(invoke(runner, "tasks", "--json").stdout)
    assert [task["kind"] for task in found["tasks"]] == ["undo", "find out"]


def test_show_and_watch_tell_what_waits_for_people_and_what_is_left(runner: CliRunner, parts: Stubs) -> None:
    run = pb.Run(id=RUN, tenant="acme", procedure="it/order", status=pb.RUN_STATUS_RUNNING, steps_left_out=12)
    run.approvals.append(asked())
    run.tasks.append(left())
    run.waits_until.add().FromJsonString("2026-11-24T12:00:00Z")
    run.steps.add(pointer="/do/0/sub", tool="it/sub:1.0.0", run_id=f"{RUN}.aabbccddeeff")
    parts.planner.answers["GetRun"] = pb.GetRunResponse(run=run)
    shown = invoke(runner, "show", RUN).stdout
    for words in ("ada, group:it (/do/1/order); until 2026", SHA256, "shop.release", KEY, ".aabbccddeeff", "12 steps"):
        assert words in shown
    ended = pb.Run(id=RUN, tenant="acme", status=pb.RUN_STATUS_COMPLETED)
    parts.planner.streams[RUN] = [[run, ended]]
    lines = invoke(runner, "watch", RUN).stdout.splitlines()
    (told,) = (line for line in lines if "waiting" in line)
    assert told.endswith("for ada, group:it: /do/1/order")
