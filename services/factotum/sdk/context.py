"""What a tool is given beside its arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from factotum.sdk.errors import NotPermitted
from factotum.sdk.sandbox import Sandbox, Undeclared

S = TypeVar("S")


def _unheard(text: str, fraction: float | None = None) -> None:
    """Progress of a call that nobody watches."""


def _shown(text: str) -> None:
    """Nothing is kept of what would have to be hidden."""


def _undeclared(name: str) -> str:
    raise NotPermitted(f"the secret {name!r} is not declared: name it under use.secrets of the document")


@dataclass(frozen=True, slots=True)
class ToolContext(Generic[S]):
    """One call's surroundings.

    Attributes:
        tenant: for whom the call is made.
        idempotency_key: identifies the effect; the same on every retry. Derive ids given to the
            system (externalId, Message-ID, UID) from it, so that the system can be asked for them.
        run_id: the run that asks; empty for a call made by hand.
        started_at: when the effect was first begun under this key, by the clock of the tool executor; for
            a first call, now. What the system had before is not of this effect.
        settings: the connector's settings for this tenant.
        secret: resolves a reference such as `secret://hr-token` that stands in the settings or is named by the
            tool's spec; raises `NotPermitted` for any other, and for one that is not there. Its value must not leave
            the tool.
        now: the clock, timezone-aware UTC.
        declared_secret: resolves a secret that the arguments name, by its bare name. Only those that
            the calling document declares under `use.secrets` are there: arguments may hold what came
            from outside, which must not choose among all that `secret` would give. Raises `NotPermitted`.
        user: the person that the run acts for; empty where it acts for nobody but the tenant.
        report: tells how far a long call has come: a sentence, and a number from 0 to 1 where it is known.
        sandbox: runs commands, of tools that are declared `sandbox=True`; what still runs in it when the call ends
            is stopped.
        conceal: what the tool made of a secret, such as a token that it got for one, is kept out of all that is told
            of this call as the secret itself is.
    """

    tenant: str
    idempotency_key: str
    run_id: str
    started_at: datetime
    settings: S
    secret: Callable[[str], str]
    now: Callable[[], datetime]
    declared_secret: Callable[[str], str] = _undeclared
    user: str = ""
    report: Callable[[str, float | None], None] = _unheard
    sandbox: Sandbox = field(default_factory=Undeclared)
    conceal: Callable[[str], None] = _shown
