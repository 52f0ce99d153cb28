"""The costs of jq's built-in functions. Source: jq 1.8.2, `builtin.jq` and `builtin.c`.

A function that is not named here is not known to be bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from factotum.procedures import cost_folds, regexes, syntax
from factotum.procedures.bounds import INPUT, ONE, SIZE, ZERO, Bound, Stream, constant
from factotum.procedures.cost import (
    CHARACTERS,
    COPY,
    ENCODED,
    FORMATTED,
    STEP,
    UNKNOWN,
    Analyst,
    Cost,
    Scope,
    atoms,
    one,
    product,
    repeated,
)

# For each node of the input: steps of what gives a number, an atom or a value no larger than the input.
NUMBERS = {
    "length": 0.5, "utf8bytelength": 0.1, "floor": 0, "sqrt": 0, "fabs": 0, "abs": 0, "round": 0, "ceil": 0, "trunc": 0,
    "tonumber": 2, "mktime": 0, "fromdate": 4, "fromdateiso8601": 4, "infinite": 0, "nan": 0, "exp": 0, "exp2": 0,
    "exp10": 0, "log": 0, "log2": 0, "log10": 0, "cbrt": 0,
}  # fmt: skip
ATOMS = {
    "not": 0, "isnan": 0, "isinfinite": 0, "isnormal": 0, "isfinite": 0, "toboolean": 1, "any": 15, "all": 15,
    "empty": 0,
}  # fmt: skip
NO_LARGER = {
    "keys": 6, "keys_unsorted": 3, "reverse": 6, "sort": 25, "unique": 25, "min": 2, "max": 2, "first": 0, "last": 0,
    "add": 25, "arrays": 0, "booleans": 0, "finites": 0, "iterables": 0, "normals": 0, "nulls": 0, "numbers": 0,
    "objects": 0, "scalars": 0, "strings": 0, "values": 0, "ltrim": 1, "rtrim": 1, "trim": 1, "implode": 12,
    "ascii_downcase": 400, "ascii_upcase": 400, "from_entries": 120,
}  # fmt: skip

_Y = Callable[[Bound], Cost]


def _sized(each: Bound, steps: Bound) -> Cost:
    return one(each, steps + STEP)


_TEXTUAL = SIZE * FORMATTED + ONE
WITHOUT_ARGUMENTS: dict[str, Cost] = {
    "type": one(constant(2), STEP),
    "tojson": _sized(_TEXTUAL, _TEXTUAL),
    "tostring": _sized(_TEXTUAL, _TEXTUAL),
    "fromjson": _sized(SIZE * 9 + ONE, SIZE * 20),
    "explode": _sized(SIZE * 17, SIZE * 20),
    "to_entries": _sized(SIZE * 3 + ONE, SIZE * 30),
    "flatten": _sized(SIZE, SIZE * 50 + SIZE * SIZE * COPY),
    "transpose": _sized(SIZE * SIZE + ONE, SIZE * SIZE * 6),
    "gmtime": _sized(constant(9), constant(20)),
    "todate": _sized(constant(4), constant(20)),
    "todateiso8601": _sized(constant(4), constant(20)),
    "recurse": Cost(Stream(SIZE, SIZE, SIZE * SIZE), SIZE * 8, SIZE),
    "paths": Cost(Stream(SIZE, SIZE, SIZE * SIZE), SIZE * 40 + SIZE * SIZE * COPY, SIZE),
    "error": replace(atoms(STEP), peak=SIZE),
    **{name: atoms(SIZE * steps + STEP, "number") for name, steps in NUMBERS.items()},
    **{name: atoms(SIZE * steps + STEP) for name, steps in ATOMS.items()},
    **{name: _sized(SIZE + ONE, SIZE * steps) for name, steps in NO_LARGER.items()},
    "length": atoms(SIZE * 0.5 + STEP, "number", SIZE * CHARACTERS),
}

# By the size of all arguments together, for each combination of their values.
WITH_VALUES: dict[tuple[str, int], _Y] = {
    ("has", 1): lambda y: atoms(y + STEP),
    ("in", 1): lambda y: atoms(y + STEP),
    ("contains", 1): lambda y: atoms(SIZE * y * 2 + STEP),
    ("inside", 1): lambda y: atoms(SIZE * y * 2 + STEP),
    ("startswith", 1): lambda y: atoms(y + STEP),
    ("endswith", 1): lambda y: atoms(y + STEP),
    ("ltrimstr", 1): lambda y: _sized(SIZE, SIZE + y + constant(25)),
    ("rtrimstr", 1): lambda y: _sized(SIZE, SIZE + y + constant(25)),
    ("trimstr", 1): lambda y: _sized(SIZE, SIZE * 2 + y + constant(50)),
    ("split", 1): lambda y: _sized(SIZE * 34 + ONE, SIZE * 80 + y),
    ("join", 1): lambda y: _sized(SIZE * 3 + SIZE * y + ONE, SIZE * 50 + SIZE * y),
    ("indices", 1): lambda y: _sized(SIZE * 17 + ONE, SIZE * 20 + SIZE * y * 2),
    ("index", 1): lambda y: _sized(ONE, SIZE * 20 + SIZE * y * 2),
    ("rindex", 1): lambda y: _sized(ONE, SIZE * 20 + SIZE * y * 2),
    ("getpath", 1): lambda y: _sized(SIZE + ONE, y * 3),
    ("delpaths", 1): lambda y: _sized(SIZE, y * 60 + SIZE * y * COPY),
    ("bsearch", 1): lambda y: atoms((SIZE + y) * 10 + constant(100), "number"),
    ("nth", 1): lambda y: _sized(SIZE + ONE, y),
    ("flatten", 1): lambda y: _sized(SIZE, SIZE * 50 + SIZE * SIZE * COPY),
    ("format", 1): lambda y: _sized(SIZE * ENCODED + ONE, SIZE * ENCODED + y),
    ("strftime", 1): lambda y: _sized(constant(260), y * 40 + constant(40)),
    ("strptime", 1): lambda y: _sized(constant(9), SIZE + y * 40 + constant(40)),
    ("pow", 2): lambda y: atoms(STEP * 4, "number"),
    ("error", 1): lambda y: replace(atoms(STEP), peak=y),
}


def of(analyst: Analyst, node: syntax.Call, scope: Scope) -> Cost:
    name, arguments = node.name, node.arguments
    if not arguments:
        return WITHOUT_ARGUMENTS.get(name, UNKNOWN)
    if (rule := WITH_VALUES.get((name, len(arguments)))) is not None:
        given = product([analyst.of(each, scope) for each in arguments])
        cost = repeated(rule(given.out.each), given)
        return replace(cost, peak=cost.peak.or_(cost.out.each))
    if name in regexes.FUNCTIONS:
        return regexes.of(analyst, node, scope)
    if name == "range":
        return _range(analyst, arguments, scope)
    return _with_filters(analyst, name, arguments, scope)


_EACH = Cost(Stream(SIZE, SIZE, SIZE), SIZE * 3 + STEP, SIZE)
# A key and its value make one entry: an object with two keys around them.
_ENTRIES = Cost(Stream(SIZE * 0.5 + ONE, SIZE + constant(5), SIZE * 3 + constant(5)), SIZE * 30, SIZE * 3 + ONE)


def _with_filters(analyst: Analyst, name: str, arguments: tuple[syntax.Node, ...], scope: Scope) -> Cost:
    last = arguments[-1]
    match name, len(arguments):
        case "map", 1:
            return _collected(analyst.then(_EACH, last, scope))
        case "map_values", 1:
            changed = analyst.then(_EACH, last, scope)
            each = SIZE + changed.out.total
            return Cost(Stream(ONE, each, each), changed.work + SIZE * 60, changed.peak.or_(each))
        case "select", 1:
            asked = analyst.of(last, scope)
            count = asked.out.count
            return Cost(
                Stream(count, SIZE, SIZE * count), asked.work + count * 2, asked.peak.or_(SIZE), scope.input.kind
            )
        case (("sort_by" | "group_by" | "unique_by" | "min_by" | "max_by"), 1):
            keys = _collected(analyst.then(_EACH, last, scope))
            return _sized(SIZE * 2 + ONE, keys.work + keys.out.each * 25 + SIZE * 25)
        case (("any" | "all"), 1):
            return atoms(analyst.then(_EACH, last, scope).work + SIZE * 10 + STEP)
        case (("any" | "all"), 2):
            return atoms(analyst.then(analyst.of(arguments[0], scope), last, scope).work + STEP * 4)
        case "add", 1:
            added = analyst.of(last, scope)
            return one(added.out.total + ONE, added.work + added.out.total * 10)
        case (("first" | "isempty"), 1):
            found = analyst.of(last, scope)
            return Cost(Stream(ONE, found.out.each, found.out.each), found.work + STEP * 2, found.peak, found.kind)
        case "last", 1:
            found = analyst.of(last, scope)
            return Cost(Stream(ONE, found.out.each, found.out.each), found.work + found.out.count * 4, found.peak)
        case (("limit" | "skip" | "nth"), 2):
            found = analyst.of(last, scope)
            found = replace(found, work=found.work + found.out.count * 12)
            return repeated(found, analyst.of(arguments[0], scope))
        case "del", 1:
            gone = analyst.of(last, scope)
            return _sized(SIZE, gone.work + gone.out.count * 80 + SIZE * COPY * 4)
        case "path", 1:
            found = analyst.of(last, scope)
            count = found.out.count
            return Cost(Stream(count, SIZE, SIZE * count), found.work + count * 10, found.peak)
        case "paths", 1:
            nodes = analyst.then(WITHOUT_ARGUMENTS["recurse"], last, scope)
            return Cost(
                Stream(nodes.out.count, SIZE, SIZE * nodes.out.count), nodes.work + SIZE * 40 + SIZE * SIZE * COPY, SIZE
            )
        case "pick", 1:
            if not cost_folds.grows_by_names(analyst, last):
                return UNKNOWN
            found = analyst.of(last, scope)
            each = found.out.total + found.out.count * cost_folds.made(last) + ONE
            return _sized(each, found.work + found.out.count * 80 + each)
        case "with_entries", 1:
            changed = analyst.then(_ENTRIES, last, scope)
            return _sized(changed.out.total + ONE, changed.work + changed.out.count * 120 + changed.out.total * 2)
        case "walk", 1:
            return _walk(analyst, last, scope)
        case "INDEX", (1 | 2):
            rows = analyst.of(arguments[0], scope) if len(arguments) == 2 else _EACH
            keys = analyst.then(rows, last, scope)
            each = rows.out.total * keys.out.count + keys.out.total * FORMATTED + ONE
            return _sized(each, keys.work + keys.out.total * FORMATTED + keys.out.count * 100)
        case "IN", (1 | 2):
            found = product([analyst.of(each, scope) for each in arguments])
            compared = found.out.total + (SIZE * found.out.count if len(arguments) == 1 else ZERO)
            return atoms(found.work + found.out.count * 8 + compared)
        case "setpath", 2:
            return _setpath(analyst, arguments, scope)
    return UNKNOWN


def _collected(inner: Cost) -> Cost:
    each = inner.out.total + ONE
    return Cost(Stream(ONE, each, each), inner.work + inner.out.count + STEP, inner.peak.or_(each))


def _walk(analyst: Analyst, node: syntax.Node, scope: Scope) -> Cost:
    """Bounded if what is put in a node's place is never larger: else each level makes the one above larger."""
    put = analyst.of(node, scope.reading("any"))
    factor, added = put.out.each.without(INPUT)
    if factor > 1 or added.value(1) > 0 or put.out.count.value(1) > 1:
        return UNKNOWN
    nodes = WITHOUT_ARGUMENTS["recurse"].out
    return _sized(SIZE, put.work.over(INPUT, nodes) + SIZE * 150 + SIZE * SIZE * COPY)


def _range(analyst: Analyst, arguments: tuple[syntax.Node, ...], scope: Scope) -> Cost:
    """Bounded if its end is, and it goes up by one from 0 or a positive number."""
    given = [analyst.of(argument, scope) for argument in arguments]
    end = given[-1].most
    if len(arguments) > 2 or end is None:
        return UNKNOWN
    if len(arguments) == 2 and not isinstance(arguments[0], syntax.Number):
        return UNKNOWN
    combinations = product(given)
    count = (end + ONE) * combinations.out.count
    return Cost(Stream(count, ONE, count), combinations.work + count, ONE, "number", end)


def _setpath(analyst: Analyst, arguments: tuple[syntax.Node, ...], scope: Scope) -> Cost:
    """Bounded if the path is written down as names: an index could make an array of any length."""
    path = arguments[0]
    names = path.content if isinstance(path, syntax.Collection) else None
    parts = names.parts if isinstance(names, syntax.Comma) else (names,)
    if not all(isinstance(part, syntax.Text) and not part.inserted for part in parts):
        return UNKNOWN
    given = product([analyst.of(each, scope) for each in arguments])
    return repeated(_sized(SIZE + given.out.each * 2, SIZE * COPY + given.out.each + STEP * 20), given)
