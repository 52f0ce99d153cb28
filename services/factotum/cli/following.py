"""Following runs to their end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol

import grpc

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.api.planner.v1 import planner_pb2_grpc
from factotum.cli.connection import translated
from factotum.cli.errors import ExitStatus, TimedOut
from factotum.cli.output import to_json

Json = dict[str, Any]

PAUSE_SECONDS = 0.2
# How long a planner that was there may be away, say because it is restarted.
AWAY_SECONDS = 60.0


class Display(Protocol):
    """Shows runs as they change."""

    def show(self, run: Json) -> None: ...


async def follow(
    planner: planner_pb2_grpc.PlannerServiceAsyncStub,
    tenant: str,
    run_id: str,
    *,
    appearing: bool = False,
    away_seconds: float = AWAY_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Json]:
    """The run now and after every change, until it has ended; survives a restart of the planner.

    Args:
        appearing: the run may not have been started yet; it is waited for.
    """
    seen: Json | None = None
    lost_at: float | None = None
    while seen is None or seen["status"] == "running":
        try:
            async for answer in planner.WatchRun(pb.WatchRunRequest(tenant=tenant, run_id=run_id)):
                lost_at = None
                run = to_json(answer.run)
                if run != seen:
                    seen = run
                    yield run
        except grpc.aio.AioRpcError as error:
            waiting = appearing and seen is None and error.code() is grpc.StatusCode.NOT_FOUND
            lost = seen is not None and error.code() is grpc.StatusCode.UNAVAILABLE
            lost_at = lost_at or monotonic()
            if not waiting and not (lost and monotonic() - lost_at < away_seconds):
                raise translated("planner", error) from error
        # Also after a stream that ended early without an error.
        await asyncio.sleep(PAUSE_SECONDS)


async def follow_all(
    planner: planner_pb2_grpc.PlannerServiceAsyncStub,
    tenant: str,
    run_ids: Iterable[str],
    display: Display,
    *,
    timeout: float | None,
    appearing: bool = False,
) -> list[Json]:
    """The runs as they ended, in the order of their ids. Raises `TimedOut` after `timeout` seconds."""

    async def one(run_id: str) -> Json:
        last: Json = {}
        async for last in follow(planner, tenant, run_id, appearing=appearing):
            display.show(last)
        return last

    try:
        async with asyncio.timeout(timeout):
            return await asyncio.gather(*(one(run_id) for run_id in run_ids))
    except TimeoutError:
        raise TimedOut(f"not ended after {timeout:g} s; the run goes on: `factotum watch RUN` follows it") from None


def outcome(runs: Iterable[Json]) -> ExitStatus:
    """OK if every run is completed."""
    return ExitStatus.OK if all(run["status"] == "completed" for run in runs) else ExitStatus.FAILED


def changes(before: Json | None, after: Json) -> list[str]:
    """One line for everything that changed between two states of a run, in the order of its steps."""
    lines = []
    if before is None:
        lines.append(f"{after['id']} {after['procedure']} {after['procedure_version']} started")
    known = {_identity(step): step for step in (before or {}).get("steps", [])}
    for step in after["steps"]:
        old = known.get(_identity(step))
        fields = ("status", "attempts", "last_error")
        if old is None or any(old[name] != step[name] for name in fields):
            lines.append(step_line(step))
    waited = {_asked(asked) for asked in (before or {}).get("approvals", [])}
    for asked in after.get("approvals", []):
        if _asked(asked) not in waited:
            lines.append(f"{'waiting':<9} {asked['tool']:<24} for {', '.join(asked['by'])}: {asked['step']}")
    if after["status"] != "running" and (before is None or before["status"] == "running"):
        lines.append(f"{after['id']} {after['status']}{': ' + after['failure'] if after['failure'] else ''}")
    return lines


def step_line(step: Json) -> str:
    retried = f" (attempt {step['attempts']})" if step["attempts"] > 1 else ""
    error = f": {step['last_error']}" if step["last_error"] and step["status"] != "completed" else ""
    what = what_it_does(step) or step["pointer"]
    return f"{step['status']:<9} {step['tool']:<24} {what}{retried}{error}"


def what_it_does(step: Json) -> str:
    """The summary of a step; one that undoes another says so, in its own words or in these."""
    summary: str = step["summary"]
    if not step["compensation"] or summary.startswith("undo "):
        return summary
    return f"undo: {summary or step['pointer']}"


def _asked(asked: Json) -> tuple[str, ...]:
    return asked["step"], asked["iteration"], asked["call_sha256"], *asked["by"]


def _identity(step: Json) -> tuple[str, str, bool]:
    return step["pointer"], step["iteration"], step["compensation"]
