"""Whether a call is permitted: what no policy permits is not, nor is what one forbids.

What can be said of a call without knowing all of it is said once and kept. A policy is taken by its conditions: those
that can be decided already are, and what is left of it decides the rest. So one way of judging serves a call with all
there is to know, one whose arguments stand in a plan, and one of which only the tool is known. It uses nothing of
Cedar but whole, ordinary decisions.

Cedar leaves out a policy whose condition cannot be evaluated. Left out of what permits, it permits nothing; left out
of what forbids, it would let through what it was written against: so what cannot be evaluated forbids here. The same
holds for an argument that a policy asks for as one type and that is of another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from cedarpy import Decision, Entities, PolicySet, is_authorized, pst

from factotum.runtime.groups import Groups
from factotum.tool_executor.policy import arguments, asking, verdicts
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.needs import ARGUMENTS, SECRETS, Mention, Needs
from factotum.tool_executor.policy.policies import Policy
from factotum.tool_executor.policy.verdicts import Judgement

Json = Any
Known: TypeAlias = Callable[[Needs], bool]

# How many principals' tools are kept before it begins anew.
MOST_KEPT: Final = 10_000
# How many sets of secrets that settings refer to.
MOST_RESERVED: Final = 100

_STANDING: Final = frozenset({"procedure"})
_PLANNED: Final = _STANDING | {ARGUMENTS}
_POLICY_OF_ERROR = re.compile(r"policy `([^`]+)`")


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of a call beyond its principal and its tool.

    Attributes:
        arguments: as the tool is given them.
        complete: nothing is missing from the arguments, and nothing in them stands for something else.
        unknown: paths into the arguments where something stands that is not known yet.
        hidden: paths into the arguments where a secret stands, of which only the tool will know the value.
        secrets: the names of the document's secrets that the arguments are given.
        others: more of them may come to be given.
        reserved: those of the secrets that settings of the tenant refer to. Only a policy that asks for each of them by
            its name permits the call.
        made: the call is being made. One that is planned has no run and no approval yet.
    """

    arguments: Json = field(default_factory=dict)
    complete: bool = True
    unknown: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    others: bool = False
    reserved: frozenset[str] = frozenset()
    made: bool = True
    run_id: str = ""
    event_source: str = ""
    approved_by: tuple[str, ...] = ()

    def known(self, needs: Needs) -> bool:
        if self.secret_in(needs):
            return False
        if self.made:
            return True
        attributes = _PLANNED if self.others else _PLANNED | {SECRETS}
        return needs.attributes <= attributes and all(self._known(one.path) for one in needs.mentions)

    def secret_in(self, needs: Needs) -> str:
        """An argument among those named in which a secret stands; empty if there is none such."""
        if not self.hidden:
            return ""
        return next((one.path for one in sorted(needs.mentions) if _meets(one.path, self.hidden)), "")

    def _known(self, path: str) -> bool:
        if _meets(path, self.unknown):
            return False
        return self.complete or arguments.found(self.arguments, path) is not None


def _meets(path: str, others: frozenset[str]) -> bool:
    """Whether one of the others is the path, leads to it, or leads on from it."""
    return any(f"{path}/".startswith(f"{one}/") or f"{one}/".startswith(f"{path}/") for one in others)


@dataclass(frozen=True, slots=True)
class _Reached:
    """Policies that apply to a call as far as it is known; `closed`: nothing of them is left to be known."""

    closed: tuple[Policy, ...]
    open: tuple[Policy, ...]
    broken: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class _Open:
    """What more has to be known of a call for: the policies that may apply, whole, and what they ask of it."""

    policies: tuple[Policy, ...]
    whole: PolicySet
    mentions: frozenset[Mention]
    entities: Entities


class Judge:
    """Judges by these policies and groups. What it keeps are answers.

    Args:
        where: what an explanation says of the place where policies are added.
        reserved: secrets that whatever is judged is given; see `Given`.
    """

    def __init__(
        self, policies: Sequence[Policy], groups: Groups, *, where: str, reserved: frozenset[str] = frozenset()
    ) -> None:
        self._policies = {policy.id: policy for policy in policies}
        self._groups = groups
        self._where = where
        self._reserved = reserved
        self._of_reserved: dict[frozenset[str], Judge] = {}
        self._standing = _policy_set(policies, _stands)
        self._scopes = _policy_set(policies, _never)
        self._kept: dict[tuple[Principal, Wanted], Judgement | _Open] = {}

    def judge(self, principal: Principal, tool: Wanted, given: Given | None = None) -> Judgement:
        """Without `given`, what holds whatever the call; of a call that is made never `DEPENDS`."""
        if given is not None and given.reserved:
            return self._naming(given.reserved).judge(principal, tool, replace(given, reserved=frozenset()))
        ground = self._kept.get((principal, tool)) or self._grounded(principal, tool)
        if isinstance(ground, Judgement):
            return ground
        if given is None:
            return verdicts.depends(principal, tool, ground.policies)
        return self._of_call(ground, principal, tool, given)

    def _naming(self, secrets: frozenset[str]) -> Judge:
        """The same without the policies that permit and do not name the secrets."""
        judge = self._of_reserved.get(secrets)
        if judge is None:
            if len(self._of_reserved) >= MOST_RESERVED:
                self._of_reserved.clear()
            policies = [policy for policy in self._policies.values() if policy.forbids or policy.names(secrets)]
            judge = Judge(policies, self._groups, where=self._where, reserved=secrets)
            self._of_reserved[secrets] = judge
        return judge

    def _grounded(self, principal: Principal, tool: Wanted) -> Judgement | _Open:
        """What holds for a principal and a tool whatever the call."""
        groups = self._groups.of(principal.tenant, principal.user) if principal.user else []
        entities = Entities.from_json_str(json.dumps(asking.entities(principal, tool, groups)))
        reached = self._reached(self._standing, _stands, entities, _request(principal, tool, Given()))
        ground = self._judgement(reached, principal, tool, entities) or _open(reached, entities)
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[principal, tool] = ground
        return ground

    def _of_call(self, ground: _Open, principal: Principal, tool: Wanted, given: Given) -> Judgement:
        for policy in ground.policies:
            if policy.forbids and (why := _of_another_type(policy, given)):
                return verdicts.not_judgeable(principal, tool, policy, why)
        entities = ground.entities
        if ground.mentions:
            entities = entities.with_added_json_str(json.dumps(arguments.entities(given.arguments, ground.mentions)))
        decided = ground.whole if given.made and not given.hidden else _policy_set(ground.policies, given.known)
        reached = self._reached(decided, given.known, entities, _request(principal, tool, given))
        judgement = self._judgement(reached, principal, tool, ground.entities)
        judgement = judgement or _undecidable(reached, principal, tool, given)
        return judgement or verdicts.depends(principal, tool, reached.open)

    def _reached(self, decided: PolicySet, known: Known, entities: Entities, request: dict[str, Json]) -> _Reached:
        answer = is_authorized(request, decided, entities)
        errors = answer.diagnostics.errors
        named = [match[1] for error in errors if (match := _POLICY_OF_ERROR.search(error))]
        if answer.decision is Decision.NoDecision or len(named) != len(errors):
            # What keeps a whole request from being judged keeps it from being permitted.
            return _Reached((), (), tuple(policy for policy in self._policies.values() if policy.forbids))
        policies = [self._policies[one] for one in sorted(answer.diagnostics.reasons)]
        closed = tuple(policy for policy in policies if all(map(known, policy.needs)))
        left = tuple(policy for policy in policies if not all(map(known, policy.needs)))
        broken = tuple(self._policies[one] for one in sorted(named) if self._policies[one].forbids)
        return _Reached(closed, left, broken)

    def _judgement(self, reached: _Reached, principal: Principal, tool: Wanted, entities: Entities) -> Judgement | None:
        forbids = [policy for policy in reached.closed if policy.forbids]
        if forbids:
            return verdicts.forbidden(principal, tool, forbids)
        if reached.broken:
            return verdicts.not_judgeable(principal, tool, reached.broken[0], "a condition that cannot be evaluated")
        permits = [policy for policy in reached.closed if not policy.forbids]
        if permits and not any(policy.forbids for policy in reached.open):
            return verdicts.allowed(principal, tool, permits)
        if permits or any(not policy.forbids for policy in reached.open):
            return None
        scoped = self._reached(self._scopes, _never, entities, _request(principal, tool, Given()))
        near = [policy for policy in (*scoped.closed, *scoped.open) if not policy.forbids]
        return verdicts.unpermitted(principal, tool, near, self._where, sorted(self._reserved))


def _open(reached: _Reached, entities: Entities) -> _Open:
    policies = (*reached.closed, *reached.open)
    mentions = frozenset(mention for policy in policies for needs in policy.needs for mention in needs.mentions)
    return _Open(policies, _policy_set(policies, _always), mentions, entities)


def _undecidable(reached: _Reached, principal: Principal, tool: Wanted, given: Given) -> Judgement | None:
    """What is said where a secret stands in what is left to be known: no more will be known of it when the call is
    made. None if without it the rest may still decide."""
    read = {policy.id: _secret_read(policy, given) for policy in reached.open}
    for policy in reached.open:
        if policy.forbids and (path := read[policy.id]):
            why = f"the argument {path!r}, in which a secret stands that only the tool is told"
            return verdicts.not_judgeable(principal, tool, policy, why)
    permits = [policy for policy in reached.open if not policy.forbids]
    if any(not policy.forbids for policy in reached.closed) or not all(read[policy.id] for policy in permits):
        return None
    return verdicts.hidden(principal, tool, permits, sorted({read[policy.id] for policy in permits}))


def _secret_read(policy: Policy, given: Given) -> str:
    """The argument with a secret that keeps the policy from ever being decided; empty if there is none such."""
    found = [given.secret_in(needs) for needs in policy.needs if not given.known(needs)]
    # What permits needs all of its conditions; what forbids may yet not apply for one that can still be decided.
    return next(filter(None, found), "") if all(found) or not policy.forbids else ""


def _stands(needs: Needs) -> bool:
    return needs.attributes <= _STANDING


def _always(needs: Needs) -> bool:
    return True


def _never(needs: Needs) -> bool:
    return False


def _policy_set(policies: Iterable[Policy], known: Known) -> PolicySet:
    """The policies under their own ids with what is known of their conditions. All of them permit, so that Cedar
    names every one that applies."""
    static = {
        policy.id: replace(
            policy.template,
            id=policy.id,
            effect="permit",
            clauses=tuple(
                clause for clause, needs in zip(policy.template.clauses, policy.needs, strict=True) if known(needs)
            ),
            annotations={},
        )
        for policy in policies
    }
    return PolicySet.from_pst(pst.PolicySet(templates={}, static_policies=static, template_links=()))


def _request(principal: Principal, tool: Wanted, given: Given) -> dict[str, Json]:
    context = {
        "arguments": arguments.references(),
        "procedure": principal.procedure,
        "run_id": given.run_id,
        "event_source": given.event_source,
        "secrets": sorted(given.secrets),
        "approved_by": list(given.approved_by),
    }
    return {
        "principal": principal.uid,
        "action": {"type": "Action", "id": tool.action},
        "resource": tool.uid,
        "context": context,
    }


def _of_another_type(policy: Policy, given: Given) -> str:
    """Which argument the policy asks for as what it is not; empty if there is none such."""
    asked: dict[str, list[Mention]] = {}
    for needs in policy.needs:
        for mention in needs.mentions:
            asked.setdefault(mention.path, []).append(mention)
    for path, mentions in sorted(asked.items()):
        there = arguments.found(given.arguments, path) is not None
        if there and all(arguments.valued(given.arguments, mention) is None for mention in mentions):
            views = " or ".join(sorted(mention.view for mention in mentions))
            return f"the argument {path!r} among the {views}, which cannot hold what it is here"
    return ""
