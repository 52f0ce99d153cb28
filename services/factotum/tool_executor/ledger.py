"""The rules of the effect ledger: what may be done under a key, given what was done before. Pure.

An entry is `started` durably before its tool runs and leaves that state only by what is known of the
effect: `done` it happened, `failed` it certainly did not, `ambiguous` nobody can tell but a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from factotum.sdk.errors import InvalidArgument, ToolError
from factotum.sdk.spec import Idempotency
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.errors import EffectAmbiguous, EffectUnderWay

# A call that ends before its lease does lets a waiting retry through this soon, in seconds.
LONGEST_WAIT = 1.0


class State(StrEnum):
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"


class StoredObservation(BaseModel):
    """The observation of a done effect as the ledger keeps it, replayed unchanged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool_version: str
    output_json: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Entry:
    """A row. `attempts` counts how often the key was taken up, to act or to ask.

    `lease_until` is None where nobody is at it; `observation` holds the JSON of a `StoredObservation`;
    `reconciled` says that the effect was found by asking the system.
    """

    tenant: str
    key: str
    tool: str
    tool_version: str
    arguments_sha256: str
    origin: Origin
    state: State
    attempts: int
    started_at: datetime
    updated_at: datetime
    reason: str = ""
    observation: bytes | None = None
    reconciled: bool = False
    lease_owner: str | None = None
    lease_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to take up a key.

    Attributes:
        owner: identifies this one attempt; nobody else may settle what it took.
        held: another attempt of this very process is at it, whatever the lease says.
    """

    tenant: str
    key: str
    tool: str
    tool_version: str
    arguments_sha256: str
    origin: Origin
    idempotency: Idempotency
    owner: str
    held: bool
    now: datetime
    lease_until: datetime


class Step(StrEnum):
    """What the holder of a claim has to do first."""

    CALL = "call"
    ASK = "ask"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Granted:
    step: Step
    attempt: int


@dataclass(frozen=True, slots=True)
class Replay:
    observation: StoredObservation


@dataclass(frozen=True, slots=True)
class Refused:
    error: ToolError


Decision: TypeAlias = Granted | Replay | Refused

_AFTER_A_CRASH = {
    Idempotency.NATIVE: Step.CALL,
    Idempotency.RECONCILE: Step.ASK,
    Idempotency.NONE: Step.GIVE_UP,
}


def decide(entry: Entry | None, claim: Claim, *, ambiguous_retry_seconds: float) -> Decision:
    """What becomes of a claim. Of all claims of a key at one time at most one is granted."""
    if entry is None:
        return Granted(Step.CALL, 1)
    if entry.tool != claim.tool or entry.arguments_sha256 != claim.arguments_sha256:
        what = "other arguments" if entry.tool == claim.tool else f"the tool {entry.tool}"
        return Refused(
            InvalidArgument(f"the idempotency key {claim.key!r} was used before with {what}; take a new one")
        )
    match entry.state:
        case State.DONE:
            return Replay(StoredObservation.model_validate_json(entry.observation or b""))
        case State.AMBIGUOUS:
            return Refused(EffectAmbiguous(claim.key, entry.reason, retry_after=ambiguous_retry_seconds))
        case State.FAILED:
            return Granted(Step.CALL, entry.attempts + 1)
        case State.STARTED:
            left = (entry.lease_until - claim.now).total_seconds() if entry.lease_until else 0.0
            if left > 0 or claim.held:
                wait = min(max(left, 0.1), LONGEST_WAIT)
                return Refused(EffectUnderWay("another attempt at this call is under way", retry_after=wait))
            return Granted(_AFTER_A_CRASH[claim.idempotency], entry.attempts + 1)


@dataclass(frozen=True, slots=True)
class Publication:
    """An observation waiting to be published: the bytes of its event, and the trace it belongs to."""

    message_key: str
    value: bytes
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the holder of a claim leaves behind. STARTED: nobody is at it, the next attempt asks."""

    tenant: str
    key: str
    owner: str
    state: State
    now: datetime
    reason: str = ""
    observation: bytes | None = None
    reconciled: bool = False
    publications: tuple[Publication, ...] = field(default=())
