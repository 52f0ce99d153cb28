"""What a worker of Factotum carries out, and in which sandbox."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from factotum.activities.consolidation import Consolidations
from factotum.activities.evaluation import Evaluations
from factotum.activities.events import RunEvents
from factotum.activities.outcome import Outcomes
from factotum.activities.tool_call import HEARTBEAT_SECONDS, ToolCalls
from factotum.workflows.recurrence import Recurrence
from factotum.workflows.run import Run
from factotum.workflows.upkeep import Consolidation

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

# Activities of one workflow task that this worker begins at once, before the server has given them to anybody:
# as many as the branches of a usual `fork`.
MOST_BEGUN_AT_ONCE = 50

WORKFLOWS: tuple[type, ...] = (Run, Recurrence, Consolidation)


def sandbox() -> SandboxedWorkflowRunner:
    """Where workflows run in the tests, and when a history is replayed: what would differ on replay is refused."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


def make_worker(
    client: Client,
    *,
    task_queue: str,
    tool_calls: ToolCalls,
    outcomes: Outcomes,
    events: RunEvents,
    evaluations: Evaluations,
    consolidations: Consolidations | None = None,
    max_concurrent_activities: int,
    version: WorkerDeploymentVersion | None = None,
    max_cached_workflows: int = 1000,
    sandboxed: bool = True,
) -> Worker:
    """A worker, not yet running.

    Args:
        consolidations: None: of a worker that keeps no memory in order.
        version: which runs stay with, and which gets none before it is current (see `versioning`); None: any
            task of the queue, for a server that knows one interpreter only.
        max_cached_workflows: runs that are kept in memory between their tasks; others are replayed from their
            histories for each.
        sandboxed: workflows run in `sandbox()`; False: at twice the speed, see decision 0022.
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
            *(() if consolidations is None else (consolidations.consolidate,)),
        ],
        workflow_runner=sandbox() if sandboxed else UnsandboxedWorkflowRunner(),
        max_cached_workflows=max_cached_workflows,
        max_concurrent_activities=max_concurrent_activities,
        max_eager_activity_reservations_per_workflow_task=MOST_BEGUN_AT_ONCE,
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
