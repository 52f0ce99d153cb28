"""Random jq programs within what an expression may use, and data that they find something to do with."""

from __future__ import annotations

from hypothesis import strategies as st

LEAVES = [
    ".", ".a", ".b", ".[]", ".[0]", ".[]?", "..", ".a?", ".[1:]", ".[:2]", "1", "3", "0", "-1", "100", "null", "true",
    "$v", "$x", "$y", "length", "keys", "tojson", "tostring", "explode", "implode", "to_entries", "from_entries",
    "add", "any", "all", "flatten", "reverse", "sort", "unique", "type", "transpose", "paths", "values", "arrays",
    "strings", "numbers", "ascii_downcase", "fromjson", "not", "first", "last", "empty", "error", "min", "max",
    "tonumber", "recurse", "@json", "@base64", "@uri", "@html", "trim", "gmtime", "todate", "infinite", "nan", "abs",
    "floor", '"x"', '""', '"aé\\n"', '"a\\(.)b"', "[]", "{}", "(.a, .b)", "[.[]?]", '{a: ., "b": 2}',
]  # fmt: skip
COMPOUND = [
    "({0}) | ({1})", "({0}), ({1})", "[{0}]", "{{a: ({0}), b: ({1})}}", "{{(({0}) | tostring): ({1})}}",
    "({0}) + ({1})", "({0}) - ({1})", "({0}) * ({1})", "({0}) / ({1})", "({0}) % ({1})", "({0}) == ({1})",
    "({0}) < ({1})", "({0}) and ({1})", "({0}) // ({1})", "({0}) as $x | ({1})", "({0}) as [$x, $y] | ({1})",
    "reduce ({0}) as $x (({1}); ({2}))", "reduce ({0}) as $x (0; . + ({1}))", "reduce ({0}) as $x ([]; . + [{1}])",
    "reduce ({0}) as $x ({{}}; .[({1}) | tostring] = ({2}))", "foreach ({0}) as $x (({1}); ({2}); ({0}))",
    "foreach ({0}) as $x (0; . + 1)", "if ({0}) then ({1}) else ({2}) end", "try ({0}) catch ({1})", "({0})?",
    "map({0})", "map_values({0})", "select({0})", "sort_by({0})", "group_by({0})", "unique_by({0})",
    "with_entries({0})",
    "walk({0})", "first({0})", "last({0})", "limit(2; {0})", "nth(1; {0})", "isempty({0})", "any({0}; {1})", "all({0})",
    "add({0})", "del(.a)", "del(.[]? | select({0}))", "path(..)", "pick(.a)", "INDEX({0})", "IN({0})", "has({0})",
    "contains({0})", "inside({0})", "indices({0})", "index({0})", "join({0})", "split({0})", "startswith({0})",
    "ltrimstr({0})", "getpath([({0})])", "delpaths([[({0})]])", "range(length)", "range(3)", "[range(0; length)]",
    ".a = ({0})", ".a |= ({0})", ".[]? += ({0})", ".[]? |= ({0})", ".[{0}] = ({1})", ".[{0}]?", ".. |= ({0})",
    '"\\({0})-\\({1})"', "@json \"\\({0})\"", "test(\"^[a-c]+x\")", "sub(\"a+\"; \"<\\({0})>\")", "[scan(\"[a-z]\")]",
    "gsub(\"^a\"; {0})", "[match(\"a.\"; \"g\")]", "bsearch({0})", "flatten(1)", "error({0})", "skip(1; {0})",
    "paths({0})", "strftime(\"%Y\")", "setpath([\"a\", \"b\"]; {0})", "to_entries | map({0})", "min_by({0})",
    "pow(({0}); 2)", "splits(\"a+\")", "-({0})", ".a -= ({0})", ".a *= 2", ".a /= ({0})", ".a //= ({0})",
]  # fmt: skip


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(lambda form, *parts: form.format(*parts), st.sampled_from(COMPOUND), inner, inner, inner)


# `$x` and `$y` are always bound; `$v` is an argument.
programs = st.recursive(st.sampled_from(LEAVES), _compound, max_leaves=12).map(
    lambda text: f". as $x | .a? as $y | {text}"
)

_texts = st.sampled_from(["", "a", "x,y", "aaab", "é\n\x01", "[[1]]", "a" * 40]) | st.text(max_size=5)
_scalars = st.none() | st.booleans() | st.integers(-3, 200) | st.floats(allow_nan=False, allow_infinity=False) | _texts
values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["a", "b", "c", "key", "value"]), inner)
    ),
    max_leaves=15,
)

# What would take a worker down, as (program, value). None is shown to be cheap.
ADVERSARIES: list[tuple[str, object]] = [
    ("[.,.]" + " | [.,.]" * 40, 1),
    ("[.[] | .[]" + ", .[]" * 30 + " | [., .] | .[]" * 25 + "]", [[1] * 50]),
    ("[.[] as $a | .[] as $b | .[] as $c | .[] as $d | .[] as $e | 1] | length", list(range(200))),
    ("reduce range(.) as $i ([1]; . + .)", 60),
    ("reduce range(.) as $i (0; [.]) | length", 10_000_000),
    ("reduce .[] as $x ([1]; . + .)", [0] * 60),
    ("[foreach .[] as $x ([1]; [.[], .[]])]", [0] * 60),
    ("walk(if type == \"array\" then [.[], .[]] else . end)", [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]),
    ("[.[] | .[] | .[] | [., .]] | map([., .])" + " | map([., .])" * 30, [[[1]]]),
    ('"x" * .', 1_000_000_000),
    ("[range(.)]", 1_000_000_000),
    ("[range(.; 1; 0.0000001)] | length", 0),
    (".[.[0]] = 1", [500_000_000]),
    ("combinations | select(false)", [list(range(30))] * 12),
    ("walk([., .])", [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]),
    ('test("^(a|a)*$")', "a" * 40 + "!"),
    ('test("(a+)+$")', "a" * 40 + "!"),
    ('gsub("(?<x>a*)*b"; "\\(.x)\\(.x)")', "a" * 5000),
    ('test("(x+x+)+y")', "x" * 200),
    (" | ".join(["tojson"] * 40), '"'),
    ("tojson" + " + tojson" * 50 + " | . as $x | reduce range(1000) as $i (.; . + $x) | explode", [1] * 1000),
    ("[.[] | tojson] | . - (map(. + .))", list(range(60_000))),
    ("[limit(.; 1 | (., .) | (., .)" + " | (., .)" * 30 + ")] | length", 10**9),
    ("try error(reduce range(.) as $i ([1]; [., .])) catch tojson", 30),
]  # fmt: skip
