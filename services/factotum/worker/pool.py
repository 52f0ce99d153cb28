"""What a worker of Factotum carries out, and in which sandbox."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import HEARTBEAT_SECONDS, ToolCalls
from factotum.workflows.recurrence import Recurrence
from factotum.workflows.run import Run

# Pure, and too dear to import anew for every run.
PASSED_THROUGH = (
    "factotum.procedures",
    "factotum.sdk",
    "annotated_types",
    "attr",
    "attrs",
    "jq",
    "jsonschema",
    "jsonschema_specifications",
    "opentelemetry",
    "pydantic",
    "pydantic_core",
    "referencing",
    "rpds",
    "yaml",
)

WORKFLOWS: tuple[type, ...] = (Run, Recurrence)


def sandbox() -> SandboxedWorkflowRunner:
    """Where the workflows run, in a worker and when a history is replayed."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def make_worker(
    client: Client,
    *,
    task_queue: str,
    tool_calls: ToolCalls,
    outcomes: Outcomes,
    events: RunEvents,
    evaluations: Evaluations,
    max_concurrent_activities: int,
    version: WorkerDeploymentVersion | None = None,
    max_cached_workflows: int = 1000,
) -> Worker:
    """A worker, not yet running.

    Args:
        version: which runs stay with, and which gets none before it is current (see `versioning`); None: any
            task of the queue, for a server that knows one interpreter only.
        max_cached_workflows: runs that are kept in memory between their tasks; others are replayed from their
            histories for each.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=WORKFLOWS,
        activities=[
            tool_calls.call,
            outcomes.publish,
            events.publish,
            events.subscribe,
            events.unsubscribe,
            evaluations.evaluate,
        ],
        workflow_runner=sandbox(),
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=max_concurrent_activities,
        # The answer to a heartbeat is how an activity hears that its run was cancelled or its step timed out.
        max_heartbeat_throttle_interval=timedelta(seconds=HEARTBEAT_SECONDS),
        # Calls under way at a shutdown get this long to end before another worker takes them over.
        graceful_shutdown_timeout=timedelta(seconds=5),
        deployment_config=None
        if version is None
        else WorkerDeploymentConfig(
            version=version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
        ),
    )
