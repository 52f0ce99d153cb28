"""Expressions: what they give, and what they may not do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.procedures import expressions
from factotum.procedures.expressions import ExpressionError, evaluate, evaluate_expression

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_the_identity_gives_its_input(value: object) -> None:
    assert evaluate("${ . }", value, {}) == value
    assert evaluate("${ $input }", None, {"input": value}) == value


def test_one_expression_takes_its_value_and_text_around_it_makes_text() -> None:
    data = {"n": 3, "who": {"name": "Ada"}}
    assert evaluate({"a": ["${ .n }", "n is ${ .n }, ${ .who.name }!"], "b": 1}, data, {}) == {
        "a": [3, "n is 3, Ada!"],
        "b": 1,
    }


def test_braces_in_strings_and_objects_do_not_end_an_expression() -> None:
    assert evaluate('${ {a: "}\\("x}" + "{")", b: {c: 1}} }', None, {}) == {"a": "}x}{", "b": {"c": 1}}


def test_a_variable_bound_within_is_not_an_argument() -> None:
    assert evaluate_expression(". as $x | $x + $y", 1, {"y": 2}) == 3
    with pytest.raises(ExpressionError, match=r"\$y is not available here"):
        evaluate_expression(". as $x | $x + $y", 1, {})


def test_the_first_result_counts_and_none_is_null() -> None:
    assert evaluate_expression(".[] | select(. > 1)", [1, 2, 3], {}) == 2
    assert evaluate_expression(".[] | select(. > 9)", [1, 2, 3], {}) is None


@pytest.mark.parametrize(
    "program",
    [
        "now",
        "env",
        "$ENV",
        "$ENV.PATH",
        "input",
        "inputs",
        "debug",
        "stderr",
        "halt",
        "input_filename",
        "$__loc__",
        "$__prog_args",
        "localtime",
        "def f: f; f",
        "repeat(.)",
        "until(true; .)",
        "while(true; .)",
        "recurse(.)",
        '"\\(now)"',
        '{"\\(1, now)": 2}',
        "{a: (1, now)}",
        ".[now:1]",
        "{(env): 1}",
        ".a) | now | (.a",
        'import "a" as a; .',
        "getpath(now)",
        "$ ENV",
        "{a: 1} | now",
        "[., now]",
        "get_search_list",
        # For jq a backslash makes a comment go on: these read the clock.
        '# \\\n " \n now #"',
        '# \\\r\n"\r\n now #"',
        ". # \\",
        "$$$$x",
        "recurse(.; true)",
        "label $x | break $x",
        '"x" * 1000 * 1000 * 1000',
    ],
)
def test_what_reads_the_world_or_may_not_end_is_refused(program: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate_expression(program, {"a": 1}, {"input": 1})


@pytest.mark.parametrize("program", ["{now: 1, env}", ".now.env", ". as {now: $x} | $x", '"now"', ".a # now"])
def test_a_forbidden_word_as_a_key_or_in_text_is_none(program: str) -> None:
    evaluate_expression(program, {"a": 1, "now": {"env": 2}, "env": 3}, {})


def test_a_failing_expression_says_why() -> None:
    with pytest.raises(ExpressionError, match="cannot be added"):
        evaluate_expression(".a + {}", {"a": 1}, {})


def test_programs_in_gives_the_place_of_every_expression() -> None:
    template = {"a/b": ["x", "${ .y }"], "c": "${ 1 } and ${ 2 }"}
    assert list(expressions.programs_in(template)) == [("/a~1b/1", ".y"), ("/c", "1"), ("/c", "2")]
