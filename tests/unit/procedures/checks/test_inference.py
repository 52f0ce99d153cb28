"""A type is never smaller than the truth: whatever jq gives is one of its values."""

from __future__ import annotations

import json
from typing import Any

import jq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.procedures.checks import inference
from factotum.procedures.checks.inference import Given
from factotum.procedures.checks.types import ANY, Type, join, kind_of, meet, object_of, of_value

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.5, "", "a", "xy", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
CERTAIN = """
. .a .b .a.b .[0] .["c"] $input $input.a 0 1 "t" null true [] {} tostring type not
""".split()  # noqa: SIM905  (one name a line would hide the list's shape)
LEAVES = """
.[1:] .[] .a? .[0]? .b[]? length tojson keys first sort reverse unique tonumber add to_entries flatten empty
has("a") join("-") split("x") floor ascii_upcase -1 -.a map(.a) with_entries(.) explode last group_by(.a) any
values @json error max
""".split()  # noqa: SIM905
SURE = r"""
({}) + ({})
({}) | ({})
[({}), ({})]
{{a: ({}), b: ({})}}
({}) == ({})
({}) as $x | ({}) + $x
"x\({}) \({})"
""".strip().splitlines()
FORMS = """
({}) // ({})
({}) - ({})
({}) * ({})
({}) and ({})
({}), ({})
if ({}) then ({}) else . end
map({}) | ({})
select({}) | ({})
try ({}) catch ({})
[.[]? | ({})] + [{}]
reduce .[]? as $i ({}; {})
{{({} | tostring): ({})}}
first({}) | ({})
(({})?) // ({})
""".strip().splitlines()


def programs(leaves: list[str], forms: list[str]) -> st.SearchStrategy[str]:
    return st.recursive(
        st.sampled_from(leaves),
        lambda inner: st.builds(lambda form, one, two: form.format(one, two), st.sampled_from(forms), inner, inner),
        max_leaves=6,
    )


def evaluated(program: str, value: Any, given_: Any) -> Any:
    """The first result, null if there is none. Raises `ValueError`."""
    compiled = jq.compile(f".i as $input | .v | ({program})")
    return next(iter(compiled.input_text(json.dumps({"v": value, "i": given_}))), None)


def holds(type_: Type, value: Any) -> bool:
    """Whether a value is one of a type's."""
    kind = kind_of(value)
    if kind not in type_.kinds:
        return False
    if kind == "object":
        known = type_.properties or {}
        if not type_.required <= value.keys() or (type_.closed and value.keys() - known):
            return False
        return all(holds(known[name], inner) for name, inner in value.items() if name in known)
    if kind == "array":
        if type_.elements is not None:
            same = len(type_.elements) == len(value)
            return same and all(holds(each, inner) for each, inner in zip(type_.elements, value, strict=True))
        return all(holds(type_.items or ANY, inner) for inner in value)
    return type_.values is None or (kind, value) in type_.values


def inferred(program: str, value: Type, given_: Type) -> tuple[Type, list[str]]:
    slips: list[str] = []
    found = inference.of_program(program, Given(value, {"input": given_}), lambda slip: slips.append(slip[0]))
    return found, slips


@settings(max_examples=120, deadline=None)
@given(programs(CERTAIN + LEAVES, SURE + FORMS), VALUES, VALUES, VALUES)
def test_what_an_expression_gives_is_of_its_type(program: str, value: Any, other: Any, given_: Any) -> None:
    type_, _ = inferred(program, join(of_value(value), of_value(other)), of_value(given_))
    try:
        result = evaluated(program, value, given_)
    except ValueError:
        return
    assert holds(type_, result), (type_, result)


@settings(max_examples=120, deadline=None)
@given(programs(CERTAIN, SURE), VALUES, VALUES)
def test_what_is_called_impossible_fails(program: str, value: Any, given_: Any) -> None:
    _, slips = inferred(program, of_value(value), of_value(given_))
    # A property that is not there is null, which jq takes.
    if any("which has no" in slip or "have no sum" in slip for slip in slips):
        with pytest.raises(ValueError):
            evaluated(program, value, given_)


@settings(max_examples=200, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_a_union_has_the_values_of_both_and_a_meeting_those_that_both_have(one: Any, two: Any, three: Any) -> None:
    left, right = join(of_value(one), of_value(two)), join(of_value(two), of_value(three))
    for value in (one, two):
        assert holds(left, value)
    assert holds(meet(left, right), two)
    assert holds(meet(left, ANY), one)


@pytest.mark.parametrize(
    ("program", "slip"),
    [
        (".name.first", "`.name` is a text, which has no property `first`"),
        (".nam", "`.` has no property `nam`"),
        (".list.name", "`.list` is an array, which has no property `name`"),
        (".name[0]", "`.name` is a text, which has no positions"),
        (".[0]", "`.` is an object, which has no positions"),
        (".name + 1", "`.name` is a text and `1` a whole number: they have no sum"),
        (".list | map(.x.y)", "`.x` is a whole number, which has no property `y`"),
        (". as $p | $p.nam", "`$p` has no property `nam`"),
        ('"Dear \\(.nam)"', "`.` has no property `nam`"),
        ("{a: .nam}", "`.` has no property `nam`"),
        ("{name} | .nam", "`.` has no property `nam`"),
        ('.name == "x" or true', ""),
        (".nam // .name", ""),
        (".nam?", ""),
        (".nam == null", ""),
        ("if .nam then .nam.x else 1 end", ""),
        (".count + [1]", ""),
        ('has("nam")', ""),
        (".open.anything.at.all", ""),
        (".maybe.x", ""),
    ],
)
def test_a_slip_is_what_goes_well_with_no_value(program: str, slip: str) -> None:
    item = of_value({"x": 1})
    value = object_of(
        {
            "name": Type(frozenset(("string",))),
            "list": Type(frozenset(("array",)), items=item),
            "open": ANY,
            "maybe": join(of_value({"x": 1}), of_value(None)),
        }
    )
    _, slips = inferred(program, value, ANY)
    assert slips == ([slip] if slip else [])


def test_a_template_is_what_its_expressions_make_of_it() -> None:
    given_ = Given(of_value({"n": 1, "s": "x"}))
    found = inference.of_template({"a": "${ .n }", "b": "n: ${ .n }", "c": ["${ .s }"], "d": "plain"}, given_, _silent)
    assert found.property("a") == of_value(1)
    assert found.property("b").kinds == {"string"}
    assert found.property("c").elements == (of_value("x"),)
    assert found.property("d") == of_value("plain")


def test_in_loose_mode_any_text_may_become_anything() -> None:
    assert inference.of_template(".n", Given(loose=True), _silent) == ANY


def _silent(_: str, __: inference.Slip) -> None:
    pass
