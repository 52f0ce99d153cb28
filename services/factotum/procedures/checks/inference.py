"""What an expression gives, as far as it can be seen without running it.

Only what jq does with certainty is followed; everything else gives anything. What an expression cannot
do with the values that it is given, whatever they are, is a slip. An expression that asks whether
something is there (`//`, `?`, a condition, a comparison with null) may ask for what is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from factotum.procedures import expressions
from factotum.procedures.checks import jq_tree as syntax
from factotum.procedures.checks import nearest
from factotum.procedures.checks.arithmetic import all_numbers, apart, each, merged, truthy
from factotum.procedures.checks.jq_tree import Node, text_of
from factotum.procedures.checks.programs import tree
from factotum.procedures.checks.types import (
    ANY,
    ARRAY,
    BOOLEAN,
    INTEGER,
    NEVER,
    NULL,
    NUMBER,
    NUMBERS,
    OBJECT,
    STRING,
    Type,
    array_of,
    join,
    object_of,
    of_value,
    union,
)

Json = Any
# (message, advice)
Slip = tuple[str, str]

_TEXTS = frozenset(
    ("tostring", "tojson", "ascii_downcase", "ascii_upcase", "join", "type", "implode", "todate", "strftime", "trim")
)
_TRUTHS = frozenset(
    ("not", "has", "contains", "inside", "startswith", "endswith", "test", "any", "all", "isempty", "IN", "isnan")
)
_SAME = frozenset(("sort", "sort_by", "unique", "unique_by", "reverse"))
_COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))


@dataclass(frozen=True, slots=True)
class Given:
    """What an expression is evaluated on.

    Attributes:
        value: its `.`.
        arguments: its `$names`; of one that is not here nothing is known.
        loose: a text may be an expression even if nothing says so.
    """

    value: Type = ANY
    arguments: Mapping[str, Type] = field(default_factory=dict)
    loose: bool = False


@dataclass(frozen=True, slots=True)
class _Stream:
    """The results of a program: each is of this type, and there is exactly one if it is `single`."""

    type: Type
    single: bool = True


_ANYTHING = _Stream(ANY, single=False)


def of_template(template: Json, given: Given, report: Callable[[str, Slip], None]) -> Type:
    """What a template becomes. `report` is told each slip with the pointer below the template."""
    if isinstance(template, str):
        return _of_text(template, given, lambda slip: report("", slip))
    if isinstance(template, Mapping):
        return object_of(
            {
                str(name): of_template(inner, given, _below(report, f"/{expressions.escape(str(name))}"))
                for name, inner in template.items()
            }
        )
    if isinstance(template, list):
        elements = (of_template(inner, given, _below(report, f"/{index}")) for index, inner in enumerate(template))
        return replace(ARRAY, elements=tuple(elements))
    return of_value(template)


def of_expression(expression: Json, given: Given, report: Callable[[str, Slip], None]) -> Type:
    """As `of_template`, for a property that is an expression with or without `${ }`."""
    if not isinstance(expression, str):
        return of_template(expression, given, report)
    found = of_program(expressions.program_of(expression), given, lambda slip: report("", slip))
    return join(found, STRING) if given.loose else found


def of_program(program: str, given: Given, report: Callable[[Slip], None]) -> Type:
    """What the first result of a program is; null if there is none."""
    node = tree(program)
    if node is None:
        return ANY
    found = _Inference(given.arguments, report).of(node, given.value)
    return found.type if found.single else join(found.type, NULL)


def _below(report: Callable[[str, Slip], None], prefix: str) -> Callable[[str, Slip], None]:
    return lambda pointer, slip: report(prefix + pointer, slip)


def _of_text(text: str, given: Given, report: Callable[[Slip], None]) -> Type:
    if "${" not in text:
        return ANY if given.loose else of_value(text)
    try:
        found = expressions.interpolations(text)
    except expressions.ExpressionError:
        return ANY
    types = [of_program(program, given, report) for _, _, program in found]
    whole = len(found) == 1 and text.strip() == text[found[0][0] : found[0][1]]
    if given.loose:
        return join(types[0], STRING) if whole else STRING
    return types[0] if whole else STRING


class _Inference:
    """Follows one program. `missing`: to ask for a property that no value has is a slip."""

    def __init__(self, arguments: Mapping[str, Type], report: Callable[[Slip], None], *, missing: bool = True) -> None:
        self._arguments = arguments
        self._report = report
        self._missing = missing

    def _quiet(self) -> _Inference:
        return _Inference(self._arguments, lambda slip: None)

    def _lenient(self) -> _Inference:
        return _Inference(self._arguments, self._report, missing=False)

    def of(self, node: Node, dot: Type) -> _Stream:
        """What a program gives for a value of this type."""
        match node:
            case syntax.Identity():
                return _Stream(dot)
            case syntax.Literal(value):
                return _Stream(of_value(value))
            case syntax.Text(parts):
                return _Stream(STRING, self._all_single(parts, dot))
            case syntax.Variable(name):
                return _Stream(self._arguments.get(name, ANY))
            case syntax.Index():
                return self._index(node, dot)
            case syntax.Slice(base):
                found = self.of(base, dot)
                kept = found.type.only(("array", "string", "null"))
                return _Stream(replace(kept, values=None, items=kept.item, elements=None), found.single)
            case syntax.Iterate(base):
                return _Stream(each(self.of(base, dot).type), single=False)
            case syntax.Array(content):
                return _Stream(self._array(content, dot))
            case syntax.Object(entries):
                return self._object(entries, dot)
            case syntax.Binary():
                return self._binary(node, dot)
            case syntax.Negative(body):
                return _Stream(NUMBER, self.of(body, dot).single)
            case syntax.If(branches, otherwise):
                return self._if(branches, otherwise, dot)
            case syntax.Try(body):
                quiet = self._quiet().of(body, dot)
                return _Stream(quiet.type if node.handler is None else ANY, single=False)
            case syntax.Bind(source, names, simple, _, body):
                found = self.of(source, dot)
                bound = dict.fromkeys(names, found.type if simple else ANY)
                inside = _Inference({**self._arguments, **bound}, self._report, missing=self._missing).of(body, dot)
                return _Stream(inside.type, inside.single and found.single)
            case syntax.Call(name, arguments):
                return self._call(name, arguments, dot)
            case _:
                return _ANYTHING

    def _all_single(self, nodes: tuple[Node, ...], dot: Type) -> bool:
        # Each is looked at, so that every slip is told.
        streams = [self.of(node, dot) for node in nodes]
        return all(stream.single for stream in streams)

    def _index(self, node: syntax.Index, dot: Type) -> _Stream:
        asking = self._quiet() if node.optional else self
        base = asking.of(node.base, dot)
        single = base.single and not node.optional
        if isinstance(node.key, syntax.Literal) and isinstance(node.key.value, str):
            return _Stream(asking._property(node, base.type, node.key.value), single)
        position = self.of(node.key, dot)
        if position.type.kinds and position.type.kinds <= NUMBERS and position.single:
            return _Stream(asking._position(node, base.type), single)
        return _Stream(ANY, single=False)

    def _property(self, node: syntax.Index, base: Type, name: str) -> Type:
        what = f"`{text_of(node.base)}`"
        if base.kinds and not base.kinds & {"object", "null"}:
            self._report((f"{what} is {base}, which has no property `{name}`", _array_advice(base, node, name)))
            return NEVER
        known = base.properties or {}
        if base.kinds == {"object"} and base.closed and name not in known:
            if self._missing:
                advice = nearest.among(name, known, "It has no properties", lead="It has")
                self._report((f"{what} has no property `{name}`", advice))
            return NULL
        found = base.property(name) if "object" in base.kinds else NEVER
        return join(found, NULL) if "null" in base.kinds else found

    def _position(self, node: syntax.Index, base: Type) -> Type:
        if base.kinds and not base.kinds & {"array", "null"}:
            self._report((f"`{text_of(node.base)}` is {base}, which has no positions", "Only an array has"))
            return NEVER
        key = node.key.value if isinstance(node.key, syntax.Literal) else None
        elements = base.elements
        if base.kinds == {"array"} and elements is not None and isinstance(key, int) and 0 <= key < len(elements):
            return elements[key]
        return join(base.item if "array" in base.kinds else NEVER, NULL)

    def _array(self, content: Node | None, dot: Type) -> Type:
        if content is None:
            return replace(ARRAY, elements=())
        parts = _comma(content)
        streams = [self.of(part, dot) for part in parts]
        if all(stream.single for stream in streams):
            return replace(ARRAY, elements=tuple(stream.type for stream in streams))
        return array_of(union(stream.type for stream in streams))

    def _object(self, entries: tuple[tuple[Node, Node], ...], dot: Type) -> _Stream:
        properties: dict[str, Type] = {}
        closed = single = True
        for key, value in entries:
            found = self.of(value, dot)
            single = single and found.single
            if isinstance(key, syntax.Literal) and isinstance(key.value, str):
                properties[key.value] = found.type
            else:
                closed = False
                single = single and self.of(key, dot).single
        if not closed:
            # A computed key may be one of those written out, and then stands in its place.
            return _Stream(OBJECT, single)
        return _Stream(object_of(properties), single)

    def _binary(self, node: syntax.Binary, dot: Type) -> _Stream:
        operator = node.operator
        if operator == "|":
            left = self.of(node.left, dot)
            right = self.of(node.right, left.type)
            return _Stream(right.type, left.single and right.single)
        if operator == ",":
            return _Stream(join(self.of(node.left, dot).type, self.of(node.right, dot).type), single=False)
        if operator == "//":
            left, right = self._quiet().of(node.left, dot), self.of(node.right, dot)
            # What is on the left may be an error, which counts as nothing.
            return _Stream(join(truthy(left.type), right.type), left.single and right.single)
        if operator in ("and", "or"):
            left, right = self._quiet().of(node.left, dot), self._quiet().of(node.right, dot)
            return _Stream(BOOLEAN, left.single and right.single)
        asking = self._quiet() if operator in ("==", "!=") and _is_null(node) else self
        if operator == "+":  # null is nothing in a sum: what is not there may be meant to begin with
            asking = self._lenient()
        left, right = asking.of(node.left, dot), asking.of(node.right, dot)
        single = left.single and right.single
        if operator in _COMPARISONS:
            return _Stream(BOOLEAN, single)
        if operator == "+":
            return _Stream(self._sum(node, left.type, right.type), single)
        if operator in ("-", "*", "/", "%") and all_numbers(left.type) and all_numbers(right.type):
            return _Stream(NUMBER, single)
        return _Stream(ANY, single and operator in ("-", "*", "/", "%"))

    def _sum(self, node: syntax.Binary, left: Type, right: Type) -> Type:
        if left.kinds == {"null"}:
            return right
        if right.kinds == {"null"}:
            return left
        if apart(left, right):
            advice = "Join texts by `\\( )` inside a text" if "string" in left.kinds | right.kinds else ""
            self._report(
                (f"`{text_of(node.left)}` is {left} and `{text_of(node.right)}` {right}: they have no sum", advice)
            )
            return NEVER
        if all_numbers(left) and all_numbers(right):
            return NUMBER
        if left.kinds == right.kinds == {"string"}:
            return STRING
        if left.kinds == right.kinds == {"array"}:
            if left.elements is not None and right.elements is not None:
                return replace(ARRAY, elements=left.elements + right.elements)
            return array_of(join(left.item, right.item))
        if left.kinds == right.kinds == {"object"}:
            return merged(left, right)
        return ANY

    def _if(self, branches: tuple[tuple[Node, Node], ...], otherwise: Node | None, dot: Type) -> _Stream:
        # A branch may be there for another type than the one that is seen here, so nothing in it is a slip.
        quiet = self._quiet()
        conditions = [quiet.of(condition, dot) for condition, _ in branches]
        results = [quiet.of(result, dot) for _, result in branches]
        results.append(_Stream(dot) if otherwise is None else quiet.of(otherwise, dot))
        return _Stream(union(result.type for result in results), all(each.single for each in (*conditions, *results)))

    def _call(self, name: str, arguments: tuple[Node, ...], dot: Type) -> _Stream:
        if name in _TEXTS or name.startswith("@"):
            return _Stream(STRING, self._quiet()._all_single(arguments, dot))
        if name in _TRUTHS:
            return _Stream(BOOLEAN, single=len(arguments) == 0 or name in ("any", "all", "isempty"))
        match name, arguments:
            case "length" | "utf8bytelength", ():
                return _Stream(NUMBER if dot.kinds & {"number"} else INTEGER)
            case "tonumber" | "floor" | "ceil" | "round" | "sqrt" | "fabs" | "abs" | "mktime", ():
                return _Stream(NUMBER)
            case "fromdate" | "fromdateiso8601", ():
                return _Stream(NUMBER)
            case "map", (each,):
                return _Stream(array_of(self.of(each, dot.item if dot.kinds == {"array"} else ANY).type))
            case "select", (condition,):
                self._quiet().of(condition, dot)
                return _Stream(dot, single=False)
            case "first" | "last", ():
                return _Stream(join(dot.item, NULL) if dot.kinds == {"array"} else ANY)
            case "first", (each,):
                return _Stream(self.of(each, dot).type, single=False)
            case (("keys" | "keys_unsorted"), ()):
                return _Stream(array_of(STRING) if dot.kinds == {"object"} else ARRAY)
            case "to_entries", ():
                return _Stream(array_of(object_of({"key": ANY, "value": ANY}, closed=False)))
            case (("from_entries" | "with_entries"), _):
                return _Stream(OBJECT)
            case (("flatten" | "group_by" | "explode" | "transpose"), _):
                return _Stream(ARRAY)
            case "split", (_,):
                return _Stream(array_of(STRING))
            case "empty", ():
                return _Stream(NEVER, single=False)
            case "error", _:
                return _Stream(NEVER, single=False)
            case _ if name in _SAME:
                return _Stream(array_of(dot.item) if dot.kinds == {"array"} else ANY)
            case _:
                return _ANYTHING


def _is_null(node: syntax.Binary) -> bool:
    return syntax.Literal(None) in (node.left, node.right)


def _comma(node: Node) -> list[Node]:
    if isinstance(node, syntax.Binary) and node.operator == ",":
        return [*_comma(node.left), *_comma(node.right)]
    return [node]


def _array_advice(base: Type, node: syntax.Index, name: str) -> str:
    if "array" in base.kinds:
        return f"Take one item, `{text_of(node.base)}[0].{name}`, or each, `{text_of(node.base)}[].{name}`"
    return "Only an object has properties"
