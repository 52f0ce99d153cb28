"""The rules of the effect ledger: what may be done under a key, given what was done before. Pure.

An entry is `started` durably before its tool runs and leaves that state only by what is known of the
effect: `done` it happened, `failed` it is not there, `ambiguous` nobody can tell but a person.

Doubt stays: once an attempt ended with its effect possible, or was cut off, a request of it may be on
its way for as long as it likes. What a later attempt meets with says nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

from factotum.sdk.errors import InvalidArgument, NotDone, ToolError
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
    `reconciled` says that the effect was found by asking the system; `doubt` that an attempt that has
    ended may have had the effect, or may yet; `arguments_json` is kept until it is known what became of
    the effect, for the person who may be asked, and is None from then on.
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
    doubt: bool = False
    arguments_json: str | None = None

    @property
    def effect_possible(self) -> bool:
        return self.doubt or self.state is not State.FAILED


@dataclass(frozen=True, slots=True)
class Claim:
    """A request to take up a key.

    Attributes:
        owner: identifies this one attempt; nobody else may settle what it took.
        held: another attempt of this very process is at it, whatever the lease says.
        settle: only what became of an earlier attempt is asked for.
    """

    tenant: str
    key: str
    tool: str
    tool_version: str
    arguments_json: str
    arguments_sha256: str
    origin: Origin
    idempotency: Idempotency
    owner: str
    held: bool
    now: datetime
    lease_until: datetime
    settle: bool = False


class Step(StrEnum):
    """What the holder of a claim has to do first."""

    CALL = "call"
    ASK = "ask"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class Granted:
    """`started_at` is the first start of the key; `doubt` as in `Entry`."""

    step: Step
    attempt: int
    started_at: datetime
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class Replay:
    observation: StoredObservation


@dataclass(frozen=True, slots=True)
class Refused:
    error: ToolError
    effect_possible: bool


Decision: TypeAlias = Granted | Replay | Refused

_IN_DOUBT = {
    Idempotency.NATIVE: Step.CALL,
    Idempotency.RECONCILE: Step.ASK,
    Idempotency.NONE: Step.GIVE_UP,
}


def known(
    entry: Entry | None, *, key: str, tool: str, arguments_sha256: str, settle: bool, ambiguous_retry_seconds: float
) -> Replay | Refused | None:
    """What can be answered by the entry alone; None where something has to be done, or waited for.

    Where nothing was done under a key, it is as good as new: a call that people approved anew, with other
    arguments, may have it.
    """
    if entry is None:
        return Refused(NotDone("no call was made under this key"), effect_possible=False) if settle else None
    if entry.tool != tool or (entry.arguments_sha256 != arguments_sha256 and entry.effect_possible):
        what = "other arguments" if entry.tool == tool else f"the tool {entry.tool}"
        mistaken = InvalidArgument(f"the idempotency key {key!r} was used before with {what}; take a new one")
        return Refused(mistaken, entry.effect_possible)
    match entry.state:
        case State.DONE:
            return Replay(StoredObservation.model_validate_json(entry.observation or b""))
        case State.AMBIGUOUS:
            undecided = EffectAmbiguous(key, entry.reason, retry_after=ambiguous_retry_seconds)
            return Refused(undecided, effect_possible=True)
        case State.FAILED if settle and not entry.doubt:
            return Refused(NotDone(f"the call failed without effect: {entry.reason}"), effect_possible=False)
        case _:
            return None


def decide(entry: Entry | None, claim: Claim, *, ambiguous_retry_seconds: float) -> Decision:
    """What becomes of a claim. Of all claims of a key at one time at most one is granted."""
    answer = known(
        entry,
        key=claim.key,
        tool=claim.tool,
        arguments_sha256=claim.arguments_sha256,
        settle=claim.settle,
        ambiguous_retry_seconds=ambiguous_retry_seconds,
    )
    if answer is not None:
        return answer
    if entry is None:
        return Granted(Step.CALL, 1, claim.now)
    if entry.state is State.STARTED:
        left = (entry.lease_until - claim.now).total_seconds() if entry.lease_until else 0.0
        if left > 0 or claim.held:
            wait = min(max(left, 0.1), LONGEST_WAIT)
            error = EffectUnderWay("another attempt at this call is under way", retry_after=wait)
            return Refused(error, effect_possible=True)
    # Found started with nobody at it: that attempt was cut off, or ended without knowing.
    doubt = entry.doubt or entry.state is State.STARTED
    step = _IN_DOUBT[claim.idempotency] if doubt else Step.CALL
    return Granted(step, entry.attempts + 1, entry.started_at, doubt)


@dataclass(frozen=True, slots=True)
class Publication:
    """An observation waiting to be published: the bytes of its event, and the trace it belongs to."""

    message_key: str
    value: bytes
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the holder of a claim leaves behind. STARTED: nobody is at it, the next attempt asks.

    `doubt` as in `Entry`: with FAILED, the system was asked and has not the effect, or not yet.
    """

    tenant: str
    key: str
    owner: str
    state: State
    now: datetime
    reason: str = ""
    observation: bytes | None = None
    reconciled: bool = False
    doubt: bool = False
    publications: tuple[Publication, ...] = field(default=())
