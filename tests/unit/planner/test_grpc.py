"""What the planner's gRPC face lets through to a visibility query."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.planner.grpc import PlannerServicer
from factotum.runtime.groups import Groups, GroupsFile


class Aborted(Exception):
    """The call ended with this status."""


class Context:
    async def abort(self, code: grpc.StatusCode, _: str) -> None:
        raise Aborted(code)


class NoRuns:
    """Has none, and takes every query."""

    async def list(self, *_: Any, **__: Any) -> list[Any]:
        return []


@pytest.fixture
def servicer() -> PlannerServicer:
    unused: Any = None
    runs: Any = NoRuns()
    return PlannerServicer(
        intake=unused,
        library=unused,
        requests=unused,
        runs=runs,
        subscriptions=unused,
        decisions=unused,
        groups=Groups(GroupsFile()),
    )


CONTEXT: Any = Context()


async def test_names_that_keep_to_their_patterns_pass(servicer: PlannerServicer) -> None:
    request = pb.ListRunsRequest(tenant="acme", procedure="hr/employee-onboarding", limit=1)
    assert await servicer.ListRuns(request, CONTEXT) == pb.ListRunsResponse()


@pytest.mark.parametrize(
    ("tenant", "procedure"),
    [("acme\n", ""), ('acme" OR "a" = "a', ""), ("", ""), ("acme", "hr/x\n"), ("acme", 'hr/x"'), ("acme", "hr")],
)
async def test_others_do_not(servicer: PlannerServicer, tenant: str, procedure: str) -> None:
    with pytest.raises(Aborted, match=r"INVALID_ARGUMENT"):
        await servicer.ListRuns(pb.ListRunsRequest(tenant=tenant, procedure=procedure), CONTEXT)


async def test_what_cannot_be_a_runs_id_is_no_run(servicer: PlannerServicer) -> None:
    with pytest.raises(Aborted, match=r"NOT_FOUND"):
        await servicer.GetRun(pb.GetRunRequest(tenant="acme", run_id="acme.x.1\n"), CONTEXT)
