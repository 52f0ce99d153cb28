"""The effect ledger: the rules, what may be done under a key given what was done before, pure; and the port.

An entry is `started` durably before its tool runs and leaves that state only by what is known of the
effect: `done` it happened, `failed` it is not there, `ambiguous` nobody can tell but a person.

Doubt stays: once an attempt ended with its effect possible, or was cut off, a request of it may be on
its way for as long as it likes. What a later attempt meets with says nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict
from pydantic_core import to_json

from factotum.sdk.errors import InvalidArgument, NotDone, ToolError
from factotum.sdk.spec import Idempotency
from factotum.tool_executor.calls import Answer, Origin
from factotum.tool_executor.errors import EffectAmbiguous, EffectUnderWay, NotAmbiguous, UnknownEffect
from factotum.tool_executor.records import record

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


def stored(answer: Answer, output_json: str) -> bytes:
    """The JSON of a `StoredObservation`, without the model: to check what was just made takes as long again."""
    return to_json(
        {
            "tool_version": answer.tool_version,
            "output_json": output_json,
            "started_at": answer.started_at,
            "ended_at": answer.ended_at,
        }
    )


@dataclass(frozen=True, slots=True)
class Entry:
    """A row. `attempts` counts how often the key was taken up, to act or to ask.

    `lease_until` is None where nobody is at it; `observation` holds the JSON of a `StoredObservation`;
    `reconciled` says that the effect was found by asking the system; `doubt` that an attempt that has
    ended may have had the effect, or may yet; `arguments_json` is kept until it is known what became of
    the effect, for the person who may be asked, and is None from then on. `idempotency` is the strictest
    that an attempt was begun under of which there is doubt: a tool's next version may declare another.
    """

    tenant: str
    key: str
    tool: str
    tool_version: str
    arguments_sha256: str
    origin: Origin
    idempotency: Idempotency
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


@record
class Claim:
    """A request to take up a key.

    Attributes:
        owner: identifies this one attempt; nobody else may settle what it took.
        idempotency: what the tool declares now.
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


@record
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

_LAXEST_FIRST = (Idempotency.NATIVE, Idempotency.RECONCILE, Idempotency.NONE)


def _in_doubt(begun: Idempotency, present: Idempotency) -> Step:
    """By the stricter of the two: what was not begun so that it could be repeated, or asked for, cannot be for what
    its tool declares now; and what it does not declare any more it cannot do."""
    if begun is present is Idempotency.NATIVE:
        return Step.CALL
    if present is Idempotency.RECONCILE and begun is not Idempotency.NONE:
        return Step.ASK
    return Step.GIVE_UP


def begun_under(entry: Entry, claim: Claim, granted: Granted) -> Idempotency:
    """What the entry says from then on: nothing is left of attempts that are out of doubt."""
    if not granted.doubt:
        return claim.idempotency
    return max(entry.idempotency, claim.idempotency, key=_LAXEST_FIRST.index)


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
    if entry.state is State.STARTED and entry.lease_owner == claim.owner:
        # This very claim was written before, and the word of it was lost.
        step = _in_doubt(entry.idempotency, claim.idempotency) if entry.doubt else Step.CALL
        return Granted(step, entry.attempts, entry.started_at, entry.doubt)
    if entry.state is State.STARTED:
        left = (entry.lease_until - claim.now).total_seconds() if entry.lease_until else 0.0
        if left > 0 or claim.held:
            wait = min(max(left, 0.1), LONGEST_WAIT)
            error = EffectUnderWay("another attempt at this call is under way", retry_after=wait)
            return Refused(error, effect_possible=True)
    # Found started with nobody at it: that attempt was cut off, or ended without knowing.
    doubt = entry.doubt or entry.state is State.STARTED
    step = _in_doubt(entry.idempotency, claim.idempotency) if doubt else Step.CALL
    return Granted(step, entry.attempts + 1, entry.started_at, doubt)


@record
class Publication:
    """An observation waiting to be published: the bytes of its event, and the trace it belongs to."""

    message_key: str
    value: bytes
    traceparent: str = ""


@record
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


def resolved(
    entry: Entry | None, tenant: str, key: str, *, output_json: str | None, reason: str, now: datetime
) -> Entry:
    """The entry after a person said what became of the effect: done with this output or, with None, failed and
    out of doubt. Raises `UnknownEffect`, `NotAmbiguous`."""
    if entry is None:
        raise UnknownEffect(f"tenant {tenant} has no effect under the key {key!r}")
    if entry.state is not State.AMBIGUOUS:
        raise NotAmbiguous(f"the effect is {entry.state.value}; only an ambiguous one can be resolved")
    observation = None
    if output_json is not None:
        stored = StoredObservation(
            tool_version=entry.tool_version, output_json=output_json, started_at=entry.started_at, ended_at=now
        )
        observation = stored.model_dump_json().encode()
    state = State.FAILED if observation is None else State.DONE
    return replace(
        entry,
        state=state,
        reason=reason,
        observation=observation,
        updated_at=now,
        doubt=False,
        arguments_json=None,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """Publications out of the outbox, each with its number. Who publishes adds to `published` what was."""

    waiting: list[tuple[int, Publication]]
    published: list[int] = field(default_factory=list)


class Ledger(Protocol):
    """Effects, and the outbox of observations, so that both settle together.

    What a method has returned survives the loss of a process, a machine or its power. Each raises
    `LedgerUnavailable` where it cannot be said; what was written then is a whole or nothing.
    Several executors may share one: a key is granted to one of them at a time.
    """

    async def claim(self, claim: Claim) -> Decision:
        """As `decide` has it; where that grants, `started` is written with the claim's lease."""
        ...

    async def renew(self, tenant: str, key: str, owner: str, *, now: datetime, lease_until: datetime) -> bool:
        """False if the lease is not the owner's any more."""
        ...

    async def settle(self, settlement: Settlement) -> bool:
        """Writes what came of a claim, and its publications. False, and nothing written, if the lease
        went to another owner meanwhile."""
        ...

    async def resolve(
        self,
        tenant: str,
        key: str,
        *,
        output_json: str | None,
        reason: str,
        now: datetime,
        publications: Sequence[Publication] = (),
    ) -> Entry:
        """Makes an ambiguous effect what `resolved` says, so that the next retry is answered or calls.
        Raises `UnknownEffect`, `NotAmbiguous`."""
        ...

    async def entry(self, tenant: str, key: str) -> Entry | None: ...

    async def effect_possible(self, tenant: str, key: str) -> bool:
        """Whether there is an entry, and its effect may stand: `Entry.effect_possible`."""
        ...

    async def entries(self, tenant: str, *, states: Sequence[State], limit: int, run_id: str) -> list[Entry]:
        """Newest first; no states: all, empty run id: all."""
        ...

    async def publish_later(self, publications: Sequence[Publication]) -> None:
        """Puts observations into the outbox that belong to no effect."""
        ...

    def taken(self, limit: int) -> AbstractAsyncContextManager[Taken]:
        """The oldest of the outbox that no other executor has taken, until the block ends, however it does:
        then what was published is taken out for good. What a killed process had taken is there again."""
        ...

    async def forget(self, before: datetime, *, limit: int) -> int:
        """Deletes effects of which all is known, done, or failed and out of doubt, and that last changed before
        that time; how many, at most `limit`. A key that is forgotten is as one that was never used."""
        ...
