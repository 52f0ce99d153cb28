"""What is said of policies that cannot be used, and where they are said to be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.tool_executor.policy.needs import Mention
from factotum.tool_executor.policy.policies import PoliciesInvalid, PolicyFault, policies
from factotum.tool_executor.policy.statements import statements

SCOPE = "permit(principal, action, resource)"


def faults(text: str) -> list[PolicyFault]:
    with pytest.raises(PoliciesInvalid) as caught:
        policies({"p.cedar": text})
    return caught.value.faults


def test_a_file_is_read_policy_by_policy() -> None:
    first, second = policies(
        {
            "p.cedar": f"""// one; "two"

@id("first") @advice("ask; it")
{SCOPE}
when {{ resource.name == "a;b // \\" c" }}; @id("second")
forbid(principal in Group::"acme/it", action in Action::"write", resource)
when {{ context.arguments.numbers.hasTag("amount") && context.arguments.numbers.getTag("amount") > 5 }}
unless {{ context.approved_by.contains("ada") }};
// the end;
"""
        }
    )
    assert (first.id, first.line, first.forbids, first.advice) == ("first", 3, False, "ask; it")
    assert (second.id, second.line, second.forbids) == ("second", 5, True)
    amount, approval = second.needs
    assert (amount.attributes, amount.mentions) == ({"arguments"}, {Mention("numbers", "amount")})
    assert (approval.attributes, approval.mentions) == ({"approved_by"}, set())


@pytest.mark.parametrize(
    ("text", "line", "said", "advice"),
    [
        (f"\n{SCOPE};", 2, "no usable id", "Put @id"),
        (f'@id("a b") {SCOPE};', 1, "no usable id", "letters"),
        (f'@id("a")\n{SCOPE}\nwhen {{ resource.nam == "x" }};', 3, "`nam` on entity type `Tool` not found", ""),
        ('@id("a") permit(principal,\n action resource);', 2, "unexpected token `resource`", ""),
        (f'@id("a") {SCOPE}', 1, "unexpected end", ""),
        ('@id("a") permit(principal == Usr::"x", action, resource);', 1, "unrecognized entity type `Usr`", "There are"),
        ('@id("a") permit(principal, action == Action::"reed", resource);', 1, "reed", ""),
        ('@id("a") permit(principal, action == "read", resource);', 1, "expected an entity uid", "Write its type too"),
        ('@id("a") permit(principal == ?principal, action, resource);', 1, "template", "Name the principal"),
        (
            f'@id("a") {SCOPE} when {{\ncontext.arguments.texts.getTag("to") == "x" }};',
            2,
            "unable to guarantee safety of access to tag",
            "hasTag(NAME)",
        ),
        (
            f'@id("a") {SCOPE} when {{ context.arguments.texts.hasTag(resource.name) }};',
            1,
            "not plain",
            "by a text in quotes",
        ),
        (f'@id("a") {SCOPE} when {{ context.arguments == context.arguments }};', 1, "not plain", ".hasTag and .getTag"),
        (f'@id("a") {SCOPE} when {{ {{"x": context}}.x.run_id == "" }};', 1, "not plain", "attribute of the context"),
        (f'@id("a") {SCOPE} when {{ context.arguments.numbers.hasTag("x") && "a" < 1 }};', 1, "Long", ""),
    ],
)
def test_a_fault_has_its_line_and_advice(text: str, line: int, said: str, advice: str) -> None:
    first = faults(text)[0]
    assert (first.file, first.line) == ("p.cedar", line)
    assert said in first.message
    assert advice in first.advice


def test_an_id_is_that_of_one_policy_only() -> None:
    with pytest.raises(PoliciesInvalid) as caught:
        policies({"a.cedar": f'@id("x") {SCOPE};', "b.cedar": f'\n@id("x") {SCOPE};'})
    assert str(caught.value) == "b.cedar:2: the id 'x' is that of another policy, a.cedar:1"


def test_every_fault_is_told() -> None:
    assert (
        len(faults(f'{SCOPE}; @id("a") permit(principal, action resource); @id("b") {SCOPE}; @id("b") {SCOPE};')) == 3
    )


POLICIES = [
    'permit("a;b");',
    'forbid(";" // no; end\n);',
    '@id("\\";") x\n;',
    ";",
]


@given(st.lists(st.sampled_from([*POLICIES, "// a; comment\n", "\n", " "]), max_size=12))
def test_statements_are_found_with_their_lines(pieces: list[str]) -> None:
    expected, line = [], 1
    for piece in pieces:
        if piece in POLICIES:
            expected.append((piece, line))
        line += piece.count("\n")
    assert [(one.text, one.line) for one in statements("".join(pieces))] == expected
