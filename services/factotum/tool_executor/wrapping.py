"""Which behaviour stands around a tool, in which order: here, and nowhere else.

One thing of a tool runs before all of it: its narrower, which says by the arguments what the call does, and so what
policy is asked for (`narrowing`). Nobody has permitted the call by then, so it is not run where no policy could permit
it (but to learn what became of an effect), and is given secrets only where it cannot say it without. Where it fails,
the tool is taken by its declaration, which is the most that a call can do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from factotum.sdk.sandbox import Sandbox
from factotum.tool_executor import observations
from factotum.tool_executor.alarms import Alarms
from factotum.tool_executor.calls import Answer, Call, Handler
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.ledger import Ledger, Publication
from factotum.tool_executor.limits import Breakers, Limits
from factotum.tool_executor.secrets import Secrets
from factotum.tool_executor.under_way import UnderWay
from factotum.tool_executor.wrappers import invoked
from factotum.tool_executor.wrappers.approved import Approved
from factotum.tool_executor.wrappers.authorised import Authorised, Permits
from factotum.tool_executor.wrappers.connected import Connected
from factotum.tool_executor.wrappers.contained import Contained
from factotum.tool_executor.wrappers.interruptible import Interruptible
from factotum.tool_executor.wrappers.ledgered import Ledgered
from factotum.tool_executor.wrappers.limited import Limited
from factotum.tool_executor.wrappers.observed import Observed
from factotum.tool_executor.wrappers.redacted import Redacted
from factotum.tool_executor.wrappers.reported import Reported
from factotum.tool_executor.wrappers.sandboxed import Sandboxed
from factotum.tool_executor.wrappers.settling import Settling
from factotum.tool_executor.wrappers.timed import Timed
from factotum.tool_executor.wrappers.validated import Validated
from factotum.tool_executor.wrappers.watched import Watched

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the wrappers need; see `Executor`."""

    catalog: Catalog
    contexts: Contexts
    secrets: Secrets
    permits: Permits
    sandbox: Sandbox
    ledger: Ledger
    tell: Callable[[Publication], Awaitable[None]]
    limits: Limits
    lease_seconds: float
    ambiguous_retry_seconds: float
    under_way: UnderWay
    now: Callable[[], datetime]
    new_id: Callable[[], str]


def wrapped(around: Surroundings) -> tuple[Callable[[Call], Awaitable[Answer]], Ledgered]:
    """What carries a call out, and of it the part that knows which effects are under way.

    Written from the inside out. What decides whether a call may be made belongs between validated and ledgered;
    what decides how it is made, inside ledgered.
    """
    ledger, now, retry = around.ledger, around.now, around.ambiguous_retry_seconds
    breakers, alarms = Breakers(around.limits.breaker), Alarms()

    def reaching(system: Handler[T]) -> Handler[T]:
        return Redacted(Watched(Connected(system), breakers=breakers, now=now), secrets=around.secrets)

    timed = Timed(invoked.act, alarms=alarms)
    acting = Interruptible(Sandboxed(timed, sandbox=around.sandbox), under_way=around.under_way, alarms=alarms)
    asking = Sandboxed(Timed(invoked.ask, alarms=alarms), sandbox=around.sandbox)
    ledgered = Ledgered(
        Contained(Reported(reaching(acting))),
        Contained(reaching(asking)),
        ledger=ledger,
        observe=lambda call, answer, attempt: observations.publication(call, answer, attempt=attempt),
        lease_seconds=around.lease_seconds,
        ambiguous_retry_seconds=retry,
        now=now,
        new_id=around.new_id,
        alarms=alarms,
    )
    limited = Limited(
        ledgered,
        ledger=ledger,
        breakers=breakers,
        line_seconds=around.limits.line_seconds,
        ambiguous_retry_seconds=retry,
        now=now,
    )
    authorised = Authorised(Approved(limited), permits=around.permits, catalog=around.catalog)
    validated = Validated(authorised, contexts=around.contexts)
    settling = Settling(validated, ledger=ledger, ambiguous_retry_seconds=retry, now=now)
    observed = Observed(
        settling,
        ledger=ledger,
        observe=lambda call, answer: observations.publication(call, answer, attempt=None),
        tell=around.tell,
        now=now,
    )
    return observed, ledgered
