"""The planner's gRPC face: runs as messages."""

from __future__ import annotations

import json
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from factotum.api.planner.v1 import planner_pb2 as pb
from factotum.runs.view import RunView, StepView
from factotum.workflows.contract import PendingApproval, PersonTask


def run_message(view: RunView) -> pb.Run:
    return pb.Run(
        id=view.id,
        tenant=view.tenant,
        procedure=view.procedure,
        procedure_version=view.procedure_version,
        status=pb.RunStatus.Value(f"RUN_STATUS_{view.status.name}"),
        event_type=view.event_type,
        started_at=stamp(view.started_at),
        ended_at=stamp(view.ended_at),
        output_json="" if view.output is None else _json(view.output),
        failure=view.failure,
        steps=[_step(step) for step in view.steps],
        trace_id=view.trace_id,
        ui_url=view.ui_url,
        tasks=[task_message(task) for task in view.tasks],
        approvals=[approval_message(asked, view.id, view.procedure) for asked in view.approvals],
        steps_left_out=view.steps_left_out,
        waits_until=[_stamp(moment) for moment in view.waits_until],
    )


def task_message(task: PersonTask) -> pb.PersonTask:
    return pb.PersonTask(
        kind=task.kind,
        step=task.step,
        iteration=task.iteration,
        tool=task.tool,
        arguments_json=_json(task.arguments),
        idempotency_key=task.idempotency_key,
        error=task.error,
    )


def approval_message(asked: PendingApproval, run_id: str, procedure: str) -> pb.PendingApproval:
    return pb.PendingApproval(
        run_id=run_id,
        procedure=procedure,
        step=asked.step,
        iteration=asked.iteration,
        tool=asked.tool,
        arguments_json=_json(asked.arguments),
        call_sha256=asked.call_sha256,
        summary=asked.summary,
        by=asked.by,
        count=asked.count,
        approved_by=asked.approved_by,
        asked_at=stamp(asked.asked_at),
        until=stamp(asked.until),
    )


def _step(step: StepView) -> pb.Step:
    return pb.Step(
        pointer=step.pointer,
        iteration=step.iteration,
        tool=step.tool,
        summary=step.summary,
        status=pb.StepStatus.Value(f"STEP_STATUS_{step.status.name}"),
        attempts=step.attempts,
        last_error=step.last_error,
        started_at=stamp(step.started_at),
        ended_at=stamp(step.ended_at),
        compensation=step.compensation,
        run_id=step.run_id,
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def stamp(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else _stamp(moment)


def _stamp(moment: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(moment)
    return made
