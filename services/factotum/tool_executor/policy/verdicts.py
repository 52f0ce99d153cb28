"""What is said of a call, and the one sentence that explains it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from factotum.tool_executor.policy.asking import Principal, Wanted, grant
from factotum.tool_executor.policy.policies import Policy


class Verdict(StrEnum):
    ALLOWED = "allowed"
    DENIED = "denied"
    # It can only be said with more of the call than was given.
    DEPENDS = "depends"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What policy says of a call.

    Attributes:
        policies: the ids of those that decided; where nothing permits, of those whose conditions are not met.
        explanation: one sentence: why, and what would have to change. Never holds a value of an argument.
    """

    verdict: Verdict
    policies: tuple[str, ...]
    explanation: str


def allowed(principal: Principal, tool: Wanted, by: Sequence[Policy]) -> Judgement:
    return _judgement(Verdict.ALLOWED, by, f"{principal} may {_what(tool)}: {_list(by)} {_s(by, 'permit')} it")


def forbidden(principal: Principal, tool: Wanted, by: Sequence[Policy]) -> Judgement:
    why = f"{principal} may not {_what(tool)}: {_list(by)} {_s(by, 'forbid')} it, which no other policy can lift"
    return _judgement(Verdict.DENIED, by, why + _advice(by))


def not_judgeable(principal: Principal, tool: Wanted, by: Policy, why: str) -> Judgement:
    text = f"{principal} may not {_what(tool)}: {_list([by])} forbids calls by {why}; what cannot be judged is refused"
    return _judgement(Verdict.DENIED, [by], text + _advice([by]))


def hidden(principal: Principal, tool: Wanted, permits: Sequence[Policy], paths: Sequence[str]) -> Judgement:
    """`paths`: the arguments with a secret that the policies read."""
    named = " and ".join(map(repr, paths))
    text = (
        f"no policy permits {principal} to {_what(tool)}: {_list(permits)} {_s(permits, 'permit')} it by the argument "
        f"{named}, in which a secret stands that only the tool is told; what cannot be judged is refused"
    )
    return _judgement(Verdict.DENIED, permits, text + _advice(permits))


def unpermitted(
    principal: Principal, tool: Wanted, near: Sequence[Policy], where: str, reserved: Sequence[str] = ()
) -> Judgement:
    """`near`: policies that would permit it, if their conditions were met. `reserved`: the secrets that it is given and
    that settings refer to."""
    unmet = f": the conditions of {_list(near)} are not met" if near else ""
    given = ""
    if reserved:
        one = "secret" if len(reserved) == 1 else "secrets"
        given = (
            f" with the {one} {', '.join(reserved)}, which settings of {principal.tenant} refer to and which a policy "
        )
        given += "therefore has to name"
    text = f"no policy permits {principal} to {_what(tool)}{given}{unmet}{_advice(near)}; "
    return _judgement(
        Verdict.DENIED, near, f"{text}to allow just this, add to {where}: {grant(principal, tool, reserved)}"
    )


def depends(principal: Principal, tool: Wanted, on: Sequence[Policy]) -> Judgement:
    why = f"whether {principal} may {_what(tool)} depends on more of the call: {_list(on)} would decide"
    return _judgement(Verdict.DEPENDS, on, why)


def _judgement(verdict: Verdict, policies: Sequence[Policy], explanation: str) -> Judgement:
    return Judgement(verdict, tuple(sorted(policy.id for policy in policies)), explanation)


def _what(tool: Wanted) -> str:
    return f"call {tool.name} ({tool.action})"


def _list(policies: Sequence[Policy]) -> str:
    one = "policy" if len(policies) == 1 else "policies"
    return f"the {one} " + ", ".join(f"{policy.id} ({policy.file}:{policy.line})" for policy in policies)


def _s(policies: Sequence[Policy], verb: str) -> str:
    return f"{verb}s" if len(policies) == 1 else verb


def _advice(policies: Sequence[Policy]) -> str:
    said = [policy.advice for policy in policies if policy.advice]
    return f" ({'; '.join(said)})" if said else ""
