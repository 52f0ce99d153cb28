"""Default deny, forbids that nothing lifts, and what is said of a call of which not all is known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.runtime.groups import Groups, GroupsFile
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.judging import Given, Judge
from factotum.tool_executor.policy.policies import policies
from factotum.tool_executor.policy.verdicts import Judgement, Verdict

ALLOWED, DENIED, DEPENDS = Verdict.ALLOWED, Verdict.DENIED, Verdict.DEPENDS
ADA, BOB = Principal("acme", user="ada", procedure="hr/x"), Principal("acme", user="bob")
GROUPS = Groups(GroupsFile(tenants={"acme": {"it": ["ada"]}, "globex": {"it": ["ada", "bob"], "acme/it": ["eve"]}}))
REFUNDS = """
@id("small") permit(principal in Group::"acme/it", action == Action::"create", resource == Tool::"shop.refund")
when { context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") <= 500 };
"""


def judge(text: str) -> Judge:
    return Judge(policies({"p.cedar": text}), GROUPS, where="p.cedar")


def tool(name: str = "shop.refund", action: str = "create", *permissions: str, source: str = "installed") -> Wanted:
    return Wanted(name, "1.2.3", action, permissions or (f"{name.partition('.')[0]}.{action}",), source)


def verdict(text: str, principal: Principal = ADA, wanted: Wanted | None = None, given: Given | None = None) -> Verdict:
    return judge(text).judge(principal, wanted or tool(), given).verdict


def permit(scope: str = "principal, action, resource", condition: str = "") -> str:
    return f'@id("p") permit({scope}) {condition};'


def forbid(scope: str = "principal, action, resource", condition: str = "") -> str:
    return f'@id("f") forbid({scope}) {condition};'


def test_what_no_policy_permits_is_not() -> None:
    assert verdict("") is DENIED
    assert verdict(forbid()) is DENIED
    assert verdict(permit()) is ALLOWED
    assert verdict(permit() + forbid()) is DENIED


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ('principal == User::"acme/ada", action, resource', True),
        ('principal == User::"acme/bob", action, resource', False),
        ('principal == User::"globex/ada", action, resource', False),
        ('principal in Group::"acme/it", action, resource', True),
        ('principal in Group::"globex/it", action, resource', False),
        ('principal in Tenant::"acme", action, resource', True),
        ('principal in Tenant::"globex", action, resource', False),
        ("principal is User, action, resource", True),
        ("principal is Service, action, resource", False),
        ('principal, action == Action::"create", resource', True),
        ('principal, action in Action::"write", resource', True),
        ('principal, action == Action::"read", resource', False),
        ('principal, action, resource in System::"shop"', True),
        ('principal, action, resource in System::"shopping"', False),
        ('principal, action, resource == Tool::"shop.refund"', True),
        ('principal, action, resource == Tool::"shop.refunds"', False),
    ],
)
def test_scopes(scope: str, allowed: bool) -> None:
    assert verdict(permit(scope)) is (ALLOWED if allowed else DENIED)
    assert verdict(permit() + forbid(scope)) is (DENIED if allowed else ALLOWED)


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ('resource.name == "shop.refund" && resource.system == "shop"', True),
        ('resource.version like "1.*"', True),
        ('resource.version like "2.*"', False),
        ('["shop.create", "shop.read"].containsAll(resource.permissions)', True),
        ('["shop.read"].containsAll(resource.permissions)', False),
        ('resource.source == "installed"', True),
        ('principal is User && principal.name == "ada"', True),
        ('context.procedure == "hr/x"', True),
        ('context.procedure == ""', False),
    ],
)
def test_what_stands_before_a_call_is_made_is_decided_without_it(condition: str, allowed: bool) -> None:
    assert verdict(permit(condition=f"when {{ {condition} }}")) is (ALLOWED if allowed else DENIED)


def test_reads_are_no_writes_and_need_a_policy_too() -> None:
    assert verdict(permit('principal, action in Action::"write", resource'), wanted=tool("shop.find", "read")) is DENIED
    assert verdict(permit('principal, action == Action::"read", resource'), wanted=tool("shop.find", "read")) is ALLOWED


@pytest.mark.parametrize(
    ("principal", "scope"),
    [
        (Principal("acme"), 'principal == Tenant::"acme"'),
        (Principal("acme", procedure="hr/x"), 'principal == Service::"acme/hr/x"'),
        (Principal("acme", user="ada", procedure="hr/x"), 'principal == User::"acme/ada"'),
    ],
)
def test_the_principal_is_the_person_or_the_procedure_or_the_tenant(principal: Principal, scope: str) -> None:
    assert verdict(permit(f"{scope}, action, resource"), principal) is ALLOWED


@settings(max_examples=40, deadline=None)
@given(
    tenant=st.sampled_from(["globex", "acme-2", "a"]),
    user=st.text(max_size=8) | st.just("ada"),
    procedure=st.text(max_size=8),
)
def test_no_name_carries_a_principal_into_another_tenant(tenant: str, user: str, procedure: str) -> None:
    scopes = ['== Tenant::"acme"', 'in Tenant::"acme"', 'in Group::"acme/it"', '== User::"acme/ada"']
    text = "".join(f'@id("p{n}") permit(principal {one}, action, resource);' for n, one in enumerate(scopes))
    assert verdict(text, Principal(tenant, user, procedure)) is DENIED


def test_a_group_of_one_name_in_another_tenant_is_another_group() -> None:
    ada, bob = Principal("globex", user="ada"), Principal("globex", user="bob")
    ours, theirs = (permit(f'principal in Group::"{tenant}/it", action, resource') for tenant in ("acme", "globex"))
    assert (verdict(ours, ada), verdict(theirs, ada), verdict(theirs, bob)) == (DENIED, ALLOWED, ALLOWED)
    assert verdict(theirs, Principal("acme", user="ada")) is DENIED


@pytest.mark.parametrize("name", ['ada"', 'x", action, resource);//', "../acme/ada", "a\\", "é‮", "a/b"])
def test_odd_names_are_names(name: str) -> None:
    ours = Principal("acme", user=name)
    made = judge("").judge(ours, tool())
    assert made.verdict is DENIED
    # The grant that is proposed is one: for this very name, and for no other.
    grant = made.explanation.partition("add to p.cedar: ")[2]
    assert verdict(grant, ours) is ALLOWED
    assert verdict(grant, Principal("acme", user="ada")) is DENIED
    assert verdict(grant, Principal("globex", user=name)) is DENIED


def test_arguments_decide() -> None:
    judge_ = judge(REFUNDS)
    assert judge_.judge(ADA, tool()).verdict is DEPENDS
    assert judge_.judge(ADA, tool(), Given({"amount": 500})).verdict is ALLOWED
    assert judge_.judge(ADA, tool(), Given({"amount": 501})).verdict is DENIED
    assert judge_.judge(ADA, tool(), Given({})).verdict is DENIED
    # Who is not in the group may not, whatever the amount.
    assert judge_.judge(BOB, tool()).verdict is DENIED
    assert judge_.judge(ADA, tool("shop.find")).verdict is DENIED


@pytest.mark.parametrize(
    "amount",
    ["1", None, [1], {"amount": 1}, True, 0.5, 2**63, {"__extn": {"fn": "decimal", "arg": "1.0"}}],
)
def test_an_argument_of_another_type_permits_nothing_and_escapes_no_forbid(amount: Any) -> None:
    assert verdict(REFUNDS, given=Given({"amount": amount})) is DENIED
    large = 'when { context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") > 500 }'
    guarded = permit() + forbid(condition=large)
    assert verdict(guarded, given=Given({"amount": 500})) is ALLOWED
    assert verdict(guarded, given=Given({"amount": 501})) is DENIED
    assert verdict(guarded, given=Given({"amount": amount})) is (ALLOWED if amount is None else DENIED)


def test_a_forbid_that_knows_several_types_takes_each() -> None:
    numbers, decimals = "context.arguments.numbers", "context.arguments.decimals"
    condition = (
        f'when {{ ({numbers}.hasTag("amount") && {numbers}.getTag("amount") > 500) || '
        f'({decimals}.hasTag("amount") && {decimals}.getTag("amount").greaterThan(decimal("500.0"))) }}'
    )
    text = permit() + forbid(condition=condition)
    found = [verdict(text, given=Given({"amount": amount})) for amount in (500, 500.5, 500.0, 10**17, "x")]
    assert found == [ALLOWED, DENIED, ALLOWED, DENIED, DENIED]


def test_a_forbid_that_cannot_be_evaluated_forbids_and_a_permit_does_not_permit() -> None:
    n = "context.arguments.numbers"
    overflows = f'when {{ {n}.hasTag("n") && {n}.getTag("n") + 9223372036854775807 > 0 }}'
    most = Given({"n": 5})
    assert verdict(permit() + forbid(condition=overflows), given=most) is DENIED
    assert verdict(permit(condition=overflows), given=most) is DENIED
    assert verdict(permit() + forbid(condition=overflows), given=Given({"n": -5})) is DENIED
    assert verdict(permit() + forbid(condition=overflows), given=Given({})) is ALLOWED


def test_what_is_only_known_of_a_call_that_is_made() -> None:
    text = permit() + forbid(condition='unless { context.approved_by.contains("boss") }')
    assert verdict(text) is DEPENDS
    assert verdict(text, given=Given({}, made=False)) is DEPENDS
    assert verdict(text, given=Given({})) is DENIED
    assert verdict(text, given=Given({}, approved_by=("ada", "boss"))) is ALLOWED
    runs = permit(condition='when { context.run_id != "" && context.event_source == "/hr" }')
    assert verdict(runs, given=Given({}, run_id="r", event_source="/hr")) is ALLOWED
    assert verdict(runs, given=Given({}, run_id="r")) is DENIED


def test_of_a_planned_call_is_said_what_its_literal_arguments_decide() -> None:
    def planned(**fields: Any) -> Verdict:
        return verdict(REFUNDS, given=Given(made=False, **fields))

    assert planned(arguments={"amount": 500}) is ALLOWED
    assert planned(arguments={"amount": 501}) is DENIED
    assert planned(arguments={}) is DENIED
    assert planned(arguments={"amount": 501}, complete=False) is DENIED
    assert planned(arguments={}, complete=False) is DEPENDS
    assert planned(arguments={"amount": None}, unknown=frozenset({"amount"})) is DEPENDS
    assert planned(arguments={"amount": {"x": None}}, unknown=frozenset({"amount/x"})) is DEPENDS
    assert planned(arguments={"amount": 501, "to": None}, unknown=frozenset({"to"})) is DENIED
    assert planned(arguments={"amount": 501}, unknown=frozenset({"amount"})) is DEPENDS


@settings(max_examples=40, deadline=None)
@given(
    amount=st.integers(0, 1000),
    approved=st.booleans(),
    user=st.sampled_from(["ada", "bob", ""]),
    action=st.sampled_from(["create", "delete"]),
)
def test_what_is_said_before_a_call_holds_for_it(amount: int, approved: bool, user: str, action: str) -> None:
    text = (
        REFUNDS
        + permit(condition='when { context.approved_by.contains("boss") }')
        + forbid('principal, action == Action::"delete", resource', 'unless { context.procedure == "hr/x" }')
    )
    principal, wanted = Principal("acme", user, "hr/x" if user != "bob" else ""), tool(action=action)
    made = Given({"amount": amount}, approved_by=("boss",) if approved else ())
    decided = verdict(text, principal, wanted, made)
    assert decided is not DEPENDS
    for given_ in (None, Given(made=False, complete=False), Given({"amount": amount}, made=False)):
        assert verdict(text, principal, wanted, given_) in (DEPENDS, decided)


def explained(text: str, principal: Principal = ADA, given: Given | None = None) -> Judgement:
    return judge(text).judge(principal, tool(), given)


def test_an_explanation_names_who_decided_and_what_would_have_to_change() -> None:
    assert explained(permit()) == Judgement(
        ALLOWED, ("p",), "ada of acme may call shop.refund (create): the policy p (p.cedar:1) permits it"
    )
    assert explained(permit() + "\n" + forbid()).explanation == (
        "ada of acme may not call shop.refund (create): the policy f (p.cedar:2) forbids it, "
        "which no other policy can lift"
    )
    assert explained("", Principal("acme", procedure="hr/x")).explanation == (
        "no policy permits the procedure hr/x of acme to call shop.refund (create); "
        "to allow just this, add to p.cedar: "
        '@id("acme-hr-x-create-shop.refund") permit(principal == Service::"acme/hr/x", action == Action::"create", '
        'resource == Tool::"shop.refund");'
    )
    near = explained('@advice("ask finance")' + REFUNDS, given=Given({"amount": 700}))
    assert near.policies == ("small",)
    assert "the conditions of the policy small (p.cedar:1) are not met (ask finance)" in near.explanation
    assert "700" not in near.explanation
    mistyped = explained(
        permit() + forbid(condition='when { context.arguments.flags.hasTag("amount") }'),
        given=Given({"amount": "hunter2"}),
    )
    assert "the argument 'amount' among the flags" in mistyped.explanation
    assert "hunter2" not in mistyped.explanation
