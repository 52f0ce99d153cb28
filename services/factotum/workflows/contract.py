"""What goes into a run and into its activities: one object each, kept in Temporal's history.

A change here must read the histories of runs in flight: add fields with defaults, never rename.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Json = Any

# The activities that are no tool calls; a tool's name has one dot and no dash.
PUBLISH_OUTCOME = "publish-outcome"
PUBLISH_EVENT = "publish-event"
SUBSCRIBE = "subscribe-to-events"
UNSUBSCRIBE = "unsubscribe-from-events"
EVALUATE = "evaluate-expression"
CONSOLIDATE_MEMORY = "consolidate-memory"
# Type of the `ApplicationError` for every expression that fails, is too slow or too large.
EXPRESSION_FAILED = "expression"

# The extension attribute of an emitted event that names whom the run acts for, as `factotum.events.reserved` has it:
# the interpreter imports nothing of events.
ACTS_FOR = "factotumuser"

# Signal that brings an event, update that brings a person's decision, query for what waits for one.
EVENT_SIGNAL = "event"
DECIDE_UPDATE = "decide"
APPROVALS_QUERY = "approvals"
TASKS_QUERY = "tasks"


class Contract(BaseModel):
    model_config = ConfigDict(frozen=True)


class EventReference(Contract):
    """The event that started the run; empty for a run started otherwise."""

    source: str = ""
    id: str = ""
    type: str = ""


class ToolPin(Contract):
    """The version of a tool that the plan was checked against, its effect class, and how long one call may take."""

    version: str
    timeout_seconds: float
    effect: str = ""


class Limits(Contract):
    """Bounds of one run.

    Attributes:
        history_events: continue as new past so many events of history; 0: when Temporal suggests it.
        compensation_seconds: how long a compensation is retried before it is left to a person.
        here_seconds: how long a worker may be at a light call by itself before it becomes an activity as any
            other; 0: every call is one.
        moved_bytes: what a run may carry along when it continues as new; 0: as much as it likes, there is a
            store for large payloads.
    """

    history_events: int = 0
    compensation_seconds: float = 86_400.0
    here_seconds: float = 0.0
    moved_bytes: int = 0


class PersonTask(Contract):
    """What is left for a person, with all that it takes: `undo` a step by hand, or `find out` whether it stands."""

    kind: Literal["undo", "find out"]
    step: str
    iteration: str
    tool: str
    arguments: dict[str, Json]
    idempotency_key: str
    error: str


class Ending(Contract):
    """How far the ending of a run has come, carried along where the undoing itself makes a long history.

    Attributes:
        reason: why the run ends, in one line.
        error: the problem that it failed with; None for one that was cancelled.
        failures: what could not be undone or found out so far.
    """

    status: Literal["failed", "cancelled"]
    reason: str
    error: dict[str, Json] | None = None
    failures: list[str] = []
    compensated: list[str] = []
    tasks: list[PersonTask] = []

    @property
    def failure(self) -> str:
        """The whole failure in one line."""
        return "; ".join([self.reason, *self.failures])


class RunInput(Contract):
    """The input of a run. The document travels in it, so that editing a procedure leaves runs alone.

    Attributes:
        documents: what `run.workflow` may start, by `namespace/name:version`.
        functions: what cataloged calls stand for, by the text of `call`.
        depth: how many runs this one is nested in.
        hops: how many runs in a row led to this one by events that they emitted.
        nested: the result is a `NestedResult`, for the run around this one.
        resume: where to go on, of a run that continued as new; see `workflows.progress`.
        ending: set for a run that was about to end when it continued as new.
        user: the person that the run acts for; empty: nobody.
        steps_before: how many calls and nested runs the earlier executions of a run that continued as new have made.
    """

    tenant: str
    document: dict[str, Json]
    input: Json = None
    event: EventReference = EventReference()
    tools: dict[str, ToolPin] = {}
    documents: dict[str, dict[str, Json]] = {}
    functions: dict[str, dict[str, Json]] = {}
    limits: Limits = Limits()
    depth: int = 0
    hops: int = 0
    nested: bool = False
    resume: Json = None
    ending: Ending | None = None
    first_started_at: datetime | None = None
    steps_before: int = 0
    user: str = ""


class NestedResult(Contract):
    """What a nested run gives the one around it: its output, what it did and what it may have done, as
    `compensation.Done` and `Doubt` in JSON."""

    output: Json = None
    done: list[dict[str, Json]] = []
    doubts: list[dict[str, Json]] = []


class SecretMarks(Contract):
    """Which marks in a call's arguments stand for secrets; see `SecretMarks` in tools.proto."""

    nonce: str
    names: list[str]


class ApprovalProof(Contract):
    """Who approved the call with this hash; see `factotum.sdk.approval`."""

    call_sha256: str
    by: list[str]


class ToolCall(Contract):
    """The input of the activity that carries out one call; the activity's name is the tool's."""

    tenant: str
    tool: str
    tool_version: str = ""
    arguments: dict[str, Json]
    idempotency_key: str
    run_id: str
    step: str
    iteration: str = ""
    compensation: bool = False
    settle: bool = False
    procedure: str = ""
    event: EventReference = EventReference()
    secrets: SecretMarks | None = None
    approval: ApprovalProof | None = None
    user: str = ""


def local_call_id(step: str, iteration: str) -> str:
    """The activity id of a call that a worker makes by itself: all that the history keeps of which step it is."""
    return f"{step}|{iteration}"


def step_of_local_call(activity_id: str) -> tuple[str, str]:
    """(step, iteration); the inverse of `local_call_id`."""
    step, _, iteration = activity_id.rpartition("|")
    return step, iteration


class Evaluation(Contract):
    """The input of the activity that evaluates an expression which is not shown to be cheap."""

    program: str
    value: Json = None
    arguments: dict[str, Json] = {}


class Emission(Contract):
    """The input of the activity that publishes a CloudEvent; `event` has every attribute, tenant and id included."""

    event: dict[str, Json]


class Subscription(Contract):
    """The input of the activities that begin and end a run's hearing of events; see `SubscribeRequest`."""

    tenant: str
    run_id: str
    filters: list[dict[str, Json]] = []


class EventSignal(Contract):
    """The argument of the signal that brings an event: a CloudEvent in its JSON form."""

    event: dict[str, Json]


class Decision(Contract):
    """The argument of the update by which a person decides on a call. `groups`: those that the person is in."""

    step: str
    iteration: str = ""
    call_sha256: str
    approve: bool
    by: str
    groups: list[str] = []
    because: str = ""


class PendingApproval(Contract):
    """A call that waits for a person; the answer of the query `approvals` is a list of these."""

    step: str
    iteration: str
    tool: str
    arguments: dict[str, Json]
    call_sha256: str
    summary: str
    by: list[str]
    count: int
    approved_by: list[str] = []
    asked_at: datetime
    until: datetime | None = None


class PlannedStep(Contract):
    """A step as it stands in the document.

    Attributes:
        tool: what it calls; of a nested run its procedure, of what calls nothing its kind, e.g. `wait`.
    """

    step: str
    tool: str
    summary: str = ""


class StepTold(Contract):
    """What became of a step of the document, over all the rounds that its loops and retries made.

    Attributes:
        status: of the last round.
        completed, failed: how many rounds did.
        retried, caught: of a `try`: how often it was tried again, and how often its `catch` took over.
        error, failure, at: title, detail and step of the last problem.
        branch: which way a `switch` went at last.
    """

    step: str
    kind: str
    status: str
    completed: int = 0
    failed: int = 0
    retried: int = 0
    caught: int = 0
    error: str = ""
    failure: str = ""
    at: str = ""
    branch: str = ""
    started_at: datetime
    ended_at: datetime | None = None


class Outcome(Contract):
    """The input of the activity that tells the world how a run ended.

    Attributes:
        steps_left_out: steps that were come to and are not among `steps`, as far as they were counted.
    """

    tenant: str
    run_id: str
    procedure: str
    procedure_version: str
    event: EventReference
    status: Literal["completed", "failed", "cancelled"]
    input: Json = None
    output: Json = None
    failure: str = ""
    compensated: list[str] = []
    tasks: list[PersonTask] = []
    goal: str = ""
    plan: list[PlannedStep] = []
    steps: list[StepTold] = []
    steps_left_out: int = 0
    started_at: datetime
    ended_at: datetime


class Consolidated(Contract):
    """What a consolidation of the memory did: records folded into others, and records let go as expired."""

    folded: int
    expired: int
