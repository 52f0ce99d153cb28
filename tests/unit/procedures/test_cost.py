"""What is shown to be cheap is cheap, and what is ordinary is shown to be."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factotum.procedures import reading
from factotum.procedures.analysis import Analysis
from factotum.procedures.bounds import DATA, INPUT, SIZE, Bound, symbol
from factotum.procedures.cost import Known, Scope
from factotum.procedures.expressions import ExpressionError, TooCostly, evaluate_program
from factotum.procedures.program import prepare, run_cheap, run_unbounded
from factotum.procedures.regexes import simple
from tests.support.jq_programs import ADVERSARIES, programs, values

PEOPLE = {
    "items": [{"id": f"k{n}", "name": f"Person {n}", "price": n, "count": 2, "tags": ["a", "b"]} for n in range(40)]
}


def size(value: Any) -> float:
    """As the analysis counts it."""
    if isinstance(value, str):
        return 1 + len(value) / 16
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(inner) for key, inner in value.items())
    return 1 + sum(map(size, value)) if isinstance(value, list) else 1


def bound(found: Bound, data: float) -> float:
    return found.at(INPUT, symbol(DATA)).value(data)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, values, values)
def test_what_is_shown_to_be_cheap_keeps_its_bounds(program: str, value: object, argument: object) -> None:
    cost = Analysis().of(reading.read(program), Scope(Known(SIZE), {}))
    data = size(value) + size(argument)
    began = time.monotonic()
    try:
        # All results at once, so that each and their number are seen.
        results = evaluate_program(f"[{program}]", value, {"v": argument})
    except ExpressionError:
        results = []
    assert time.monotonic() - began < 1.0

    assert len(results) <= bound(cost.out.count, data) + 1e-6
    assert sum(map(size, results)) <= bound(cost.out.total, data) + 1e-6
    assert max(map(size, results), default=0) <= bound(cost.out.each, data) + 1e-6
    if cost.kind != "any":
        assert not any(isinstance(result, str | list | dict) for result in results)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, values, values)
def test_a_guard_changes_no_result(program: str, value: object, argument: object) -> None:
    outcomes = []
    for run in (run_cheap, run_unbounded):
        try:
            outcomes.append(run(program, value, {"v": argument}))
        except TooCostly:
            return
        except ExpressionError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs, st.sampled_from(["numbers", "rows", "text"]))
def test_what_is_cheap_on_much_data_is_over_at_once(program: str, shape: str) -> None:
    large: Any = {
        "numbers": {"a": list(range(5000)), "b": list(range(4900))},
        "rows": {"a": [{"k": f"k{n}", "v": n} for n in range(1500)], "b": [1]},
        "text": {"a": "ab," * 50_000, "b": "a"},
    }[shape]
    began = time.monotonic()
    with contextlib.suppress(ExpressionError):
        evaluate_program(program, large, {"v": large["b"]})
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(("program", "value"), ADVERSARIES)
def test_what_would_hurt_is_not_run_in_process(program: str, value: object) -> None:
    began = time.monotonic()
    with pytest.raises(TooCostly) as caught:
        evaluate_program(program, value, {})
    assert (caught.value.program, caught.value.value) == (program, value)
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "program",
    [
        ".",
        ".items[3].name",
        '.items[0].id == "k0" and (.items | length) > 3',
        "[.items[] | select(.price > 3) | {id, n: .name}]",
        ".items | map(.price * .count) | add",
        ".items[5].price - .items[4].price",
        '"\\(.items[0].name) <\\(.items[0].id)>"',
        ".items | sort_by(.price) | reverse | .[0]",
        ".items | group_by(.count) | map({count: .[0].count, n: length})",
        '.items | map(.name) | join(", ")',
        "reduce .items[] as $item (0; . + $item.price)",
        ".items[0] | to_entries | map(select(.value != null)) | from_entries",
        ".items[].done = true",
        ".items |= map(.id)",
        '.items[0].name | test("^Person [0-9]+$")',
        '.items[0].id | gsub("[^a-z]"; "-")',
        '.items[0].name | ascii_downcase | split(" ")[1]',
        "[range(3)]",
        "[limit(2; .items[])]",
        "first(.items[] | select(.price > 7))",
        "any(.items[]; .price > 7)",
        '.items | map(.tags | index("b"))',
        "[.. | strings] | length",
        ". as {items: [$first]} | $first.id",
        'try error("x") catch .',
        "[.items[range(0; 3)].id]",
    ],
)
def test_the_ordinary_is_cheap(program: str) -> None:
    few = {"items": PEOPLE["items"][:10]}
    evaluate_program(program, few, {})
    assert prepare(program).most_data > 0


def test_a_product_is_cheap_for_numbers_and_guarded_against_texts() -> None:
    assert evaluate_program(".a * .b", {"a": 6, "b": 7}, {}) == 42
    assert evaluate_program('"ab" * 2', None, {}) == "abab"
    for program in (".a * .b", "try (.a * .b) catch 0", "(.a * .b)? // 0", "first(.a * .b)", "[.a * .b] | length"):
        with pytest.raises(TooCostly):
            evaluate_program(program, {"a": "x", "b": 7}, {})


def test_an_index_that_is_computed_sets_names_only() -> None:
    assert evaluate_program(".[.k] = 1", {"k": "a"}, {}) == {"k": "a", "a": 1}
    with pytest.raises(TooCostly):
        evaluate_program(".[.[0]] = 1", [500_000_000], {})


def test_a_state_may_not_be_wrapped_deeper_than_it_can_be_freed() -> None:
    with pytest.raises(TooCostly):
        evaluate_program("reduce .[] as $x (0; [.])", [0] * 20_000, {})


def test_a_text_that_is_too_long_for_its_pattern_is_not_matched_in_process() -> None:
    assert evaluate_program('test("^a+b+c$")', "aabbc", {}) is True
    with pytest.raises(TooCostly):
        evaluate_program('test("a+b+c+d")', "a" * 5000, {})


@pytest.mark.parametrize(
    ("pattern", "power"),
    [
        ("abc", 1),
        ("^abc$", 0),
        ("^[a-z]+$", 1),
        ("[^@]+@[^@]+", 3),
        (r"^\d{4}-\d{2}$", 2),
        ("^(?<y>a)b?$", 1),
        ("a|b", 2),
        ("^a|b", 2),
        ("(a+)+", None),
        ("(?:a|b)*", None),
        (r"(a*)\1", None),
        ("a+b+c+d+e+", None),
        ("(?=a+)b", None),
        ("[a-z&&[^b]]+", None),
        ("a{1000}", None),
        ("a++", None),
        ("(?i)a", None),
    ],
)
def test_which_patterns_are_simple(pattern: str, power: int | None) -> None:
    found = simple(pattern)
    assert (None if found is None else found.power) == power
