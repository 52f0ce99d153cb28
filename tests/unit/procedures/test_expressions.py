"""Expressions: what they give, and what they may not do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.procedures import expressions
from factotum.procedures.expressions import (
    ExpressionError,
    TooCostly,
    evaluate,
    evaluate_expression,
    evaluate_program,
    resolve,
    resolve_expression,
)

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


def test_a_program_without_a_result_is_null_in_a_text_too() -> None:
    assert evaluate("a ${ empty } b", None, {}) == "a null b"


def test_data_that_is_no_json_is_an_error_of_the_expression() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    for value in (object(), nested, {("a", "b"): 1}):
        with pytest.raises(ExpressionError, match="no JSON"):
            evaluate("${ [.] }", value, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".a", 3),
        ("${ .a }", 3),
        ("a is ${ .a }", "a is 3"),
        ("hello", "hello"),
        ("hello there, .a", "hello there, .a"),
        (".a.b", ".a.b"),
        ("${ .a.b }", "${ .a.b }"),
        ("${ .a", "${ .a"),
        ("now", "now"),
        ("$nothing", "$nothing"),
        ("", ""),
    ],
)
def test_in_loose_mode_every_text_is_tried_and_stays_if_it_fails(text: str, expected: object) -> None:
    assert evaluate([text, {"b": text}, 1], {"a": 3}, {}, "loose") == [expected, {"b": expected}, 1]
    assert evaluate_expression(text, {"a": 3}, {}, "loose") == expected


class Elsewhere:
    """Stands for the bounded evaluator: notes what it is asked and answers, or fails."""

    def __init__(self, answer: object = "answer") -> None:
        self.answer = answer
        self.asked: list[tuple[str, object, object]] = []

    async def __call__(self, program: str, value: object, arguments: Mapping[str, object]) -> object:
        self.asked.append((program, value, dict(arguments)))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_what_is_cheap_is_resolved_without_asking_elsewhere() -> None:
    elsewhere = Elsewhere()
    resolving = resolve({"a": "${ .a }", "b": ["x ${ $n }"]}, {"a": 1}, {"n": 2}, elsewhere)
    with pytest.raises(StopIteration) as done:  # without a turn of the loop
        resolving.send(None)
    assert done.value.value == {"a": 1, "b": ["x 2"]}
    assert elsewhere.asked == []


async def test_what_is_costly_is_asked_elsewhere_and_only_that() -> None:
    elsewhere = Elsewhere()
    template = {"a": "${ .a }", "b": ["${ [range(.a)] }", "n: ${ range(.a) }", "text"]}
    assert await resolve(template, {"a": 1}, {"n": 2}, elsewhere) == {"a": 1, "b": ["answer", "n: answer", "text"]}
    assert await resolve_expression("[range(.a)]", {"a": 1}, {}, elsewhere) == "answer"
    programs = [program for program, _, _ in elsewhere.asked]
    assert programs == ["[range(.a)]", "(range(.a)\n) | tostring", "[range(.a)]"]
    assert elsewhere.asked[0][1:] == ({"a": 1}, {"n": 2})
    with pytest.raises(TooCostly):
        evaluate(template, {"a": 1}, {})


async def test_what_fails_elsewhere_fails_or_stays_text_in_loose_mode() -> None:
    failing = Elsewhere(ExpressionError("too slow"))
    for resolver in (resolve, resolve_expression):
        with pytest.raises(ExpressionError, match="too slow"):
            await resolver("${ range(.) }", 1, {}, failing)
        assert await resolver("${ range(.) }", 1, {}, failing, "loose") == "${ range(.) }"
        assert await resolver("range(.)", 1, {}, failing, "loose") == "range(.)"
        assert await resolver("range(.)", 1, {}, Elsewhere(), "loose") == "answer"


def test_programs_in_gives_the_place_of_every_expression() -> None:
    template = {"a/b": ["x", "${ .y }"], "c": "${ 1 } and ${ 2 }"}
    assert list(expressions.programs_in(template)) == [("/a~1b/1", ".y"), ("/c", "1"), ("/c", "2")]


KEYS = ["a", "b", "a b", "é", "key"]
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=10,
)


@given(
    root=st.sampled_from([".", "$x", "$y"]),
    keys=st.lists(st.sampled_from(KEYS), max_size=4),
    value=TREES,
    x=TREES,
)
@settings(max_examples=200, deadline=None)
def test_a_path_that_is_walked_gives_what_jq_gives(root: str, keys: list[str], value: object, x: object) -> None:
    steps = [f'["{key}"]' if index % 2 else f'."{key}"' for index, key in enumerate(keys)]
    path = "".join(["" if root == "." and keys else root, *steps])
    arguments = {"x": x}

    def outcome(program: str) -> object:
        try:
            return evaluate_program(program, value, arguments)
        except ExpressionError as error:
            return str(error).partition(": ")[2]

    # What is no longer nothing but a path is jq's.
    assert outcome(path) == outcome(f"{path} | if true then . else . end")
