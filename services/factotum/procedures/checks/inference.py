"""What an expression gives, as far as it can be seen without running it.

Only what jq does with certainty is followed; everything else gives anything. What an expression cannot
do with the values that it is given, whatever they are, is a slip. An expression that asks whether
something is there (`//`, `?`, a condition, a comparison with null) may ask for what is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from factotum.procedures import expressions, syntax
from factotum.procedures.checks import nearest
from factotum.procedures.checks.arithmetic import all_numbers, apart, each_of, sum_of, truthy
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
from factotum.procedures.syntax import Node

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
_CONSTANTS = {"null": NULL, "true": of_value(True), "false": of_value(False)}
# Up to here a number without a fraction is exact.
_EXACT = 2**53
_SHOWN = 40


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
    found = _Inference(program, given.arguments, report).of(node, given.value)
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

    def __init__(
        self, program: str, arguments: Mapping[str, Type], report: Callable[[Slip], None], *, missing: bool = True
    ) -> None:
        self._program = program
        self._arguments = arguments
        self._report = report
        self._missing = missing

    def _quiet(self) -> _Inference:
        return _Inference(self._program, self._arguments, lambda slip: None)

    def _with(self, arguments: Mapping[str, Type], *, missing: bool | None = None) -> _Inference:
        kept = self._missing if missing is None else missing
        return _Inference(self._program, arguments, self._report, missing=kept)

    def of(self, node: Node, dot: Type) -> _Stream:
        """What a program gives for a value of this type."""
        match node:
            case syntax.Identity():
                return _Stream(dot)
            case syntax.Number(value=number):
                return _Stream(of_value(int(number) if number.is_integer() and abs(number) < _EXACT else number))
            case syntax.Constant():
                return _Stream(_CONSTANTS[self._program[node.start : node.end]])
            case syntax.Text(inserted=inserted):
                if (constant := constant_of(node)) is not None:
                    return _Stream(of_value(constant))
                return _Stream(STRING, self._all_single(inserted, dot))
            case syntax.Format():
                return _Stream(STRING)
            case syntax.Variable(name=name):
                return _Stream(self._arguments.get(name, ANY))
            case syntax.Index():
                return self._index(node, dot)
            case syntax.Slice(target=target):
                found = self.of(target, dot)
                kept = found.type.only(("array", "string", "null"))
                single = found.single and self._all_single(tuple(x for x in (node.first, node.last) if x), dot)
                return _Stream(replace(kept, values=None, items=kept.item, elements=None), single)
            case syntax.Each(target=target):
                return _Stream(each_of(self.of(target, dot).type), single=False)
            case syntax.Collection(content=content):
                return _Stream(self._array(content, dot))
            case syntax.Object(entries=entries):
                return self._object(entries, dot)
            case syntax.Pipe(stages=stages):
                return self._pipe(stages, dot)
            case syntax.Comma(parts=parts):
                return _Stream(union(self.of(part, dot).type for part in parts), single=False)
            case syntax.Binary():
                return self._binary(node, dot)
            case syntax.Negation(operand=operand):
                return _Stream(NUMBER, self.of(operand, dot).single)
            case syntax.Choice(condition=condition, then=then, otherwise=otherwise):
                # A branch may be there for another type than the one seen here: nothing in it is a slip.
                streams = [self._quiet().of(each, dot) for each in (condition, then, otherwise)]
                return _Stream(join(streams[1].type, streams[2].type), all(stream.single for stream in streams))
            case syntax.Try(body=body, handler=handler):
                return _Stream(self._quiet().of(body, dot).type if handler is None else ANY, single=False)
            case syntax.Binding(source=source, pattern=pattern, body=body):
                found = self.of(source, dot)
                simple = self._program[pattern.start : pattern.end] == f"${pattern.names[0]}"
                bound = dict.fromkeys(pattern.names, found.type if simple else ANY)
                inside = self._with({**self._arguments, **bound}).of(body, dot)
                return _Stream(inside.type, inside.single and found.single)
            case syntax.Call(name=name, arguments=arguments):
                return self._call(name, arguments, dot)
            case _:
                return _ANYTHING

    def _all_single(self, nodes: tuple[Node, ...], dot: Type) -> bool:
        # Each is looked at, so that every slip is told.
        streams = [self.of(node, dot) for node in nodes]
        return all(stream.single for stream in streams)

    def _pipe(self, stages: tuple[Node, ...], dot: Type) -> _Stream:
        single = True
        for stage in stages:
            found = self.of(stage, dot)
            dot, single = found.type, single and found.single
        return _Stream(dot, single)

    def _index(self, node: syntax.Index, dot: Type) -> _Stream:
        base = self.of(node.target, dot)
        name = constant_of(node.key)
        if name is not None:
            return _Stream(self._property(node, base.type, name), base.single)
        position = self.of(node.key, dot)
        if position.type.kinds and position.type.kinds <= NUMBERS and position.single:
            return _Stream(self._position(node, base.type), base.single)
        return _ANYTHING

    def _property(self, node: syntax.Index, base: Type, name: str) -> Type:
        what = f"`{self._text_of(node.target)}`"
        if base.kinds and not base.kinds & {"object", "null"}:
            self._report((f"{what} is {base}, which has no property `{name}`", self._instead(base, node, name)))
            return NEVER
        known = base.properties or {}
        if base.kinds == {"object"} and base.closed and name not in known:
            if self._missing:
                advice = nearest.among(name, known, "It has no properties", lead="It has")
                self._report((f"{what} has no property `{name}`", advice))
                return ANY  # so that nothing that follows from it is told as well
            return NULL
        found = base.property(name) if "object" in base.kinds else NEVER
        return join(found, NULL) if "null" in base.kinds else found

    def _instead(self, base: Type, node: syntax.Index, name: str) -> str:
        if "array" not in base.kinds:
            return "Only an object has properties"
        what = self._text_of(node.target).rstrip(".")
        return f"Take one item, `{what}.[0].{name}`, or all, `[{what}.[].{name}]`"

    def _position(self, node: syntax.Index, base: Type) -> Type:
        if base.kinds and not base.kinds & {"array", "null"}:
            self._report((f"`{self._text_of(node.target)}` is {base}, which has no positions", "Only an array has"))
            return NEVER
        position = int(node.key.value) if isinstance(node.key, syntax.Number) else -1
        elements = base.elements
        if base.kinds == {"array"} and elements is not None and 0 <= position < len(elements):
            return elements[position]
        return join(base.item if "array" in base.kinds else NEVER, NULL)

    def _array(self, content: Node | None, dot: Type) -> Type:
        if content is None:
            return replace(ARRAY, elements=())
        parts = content.parts if isinstance(content, syntax.Comma) else (content,)
        streams = [self.of(part, dot) for part in parts]
        if all(stream.single for stream in streams):
            return replace(ARRAY, elements=tuple(stream.type for stream in streams))
        return array_of(union(stream.type for stream in streams))

    def _object(self, entries: tuple[syntax.Entry, ...], dot: Type) -> _Stream:
        properties: dict[str, Type] = {}
        known = single = True
        for entry in entries:
            found = self.of(entry.value, dot)
            single = single and found.single
            key = entry.key
            if isinstance(key, syntax.Variable) and key is entry.value:
                properties[key.name] = found.type
            elif (name := constant_of(key)) is not None:
                properties[name] = found.type
            else:
                # A computed key may be one of those written out, and then stands in its place.
                known = False
                single = single and self.of(key, dot).single
        return _Stream(object_of(properties) if known else OBJECT, single)

    def _binary(self, node: syntax.Binary, dot: Type) -> _Stream:
        operator = node.operator
        if operator == "//":
            # What is on the left may be an error, which counts as nothing.
            left = self._quiet().of(node.left, dot)
            needed = not left.type.kinds or left.type.kinds & {"null", "boolean"} or not left.single
            right = (self if needed else self._quiet()).of(node.right, dot)
            return _Stream(join(truthy(left.type), right.type), left.single and right.single)
        if operator in ("and", "or"):
            return _Stream(BOOLEAN, self._quiet()._all_single((node.left, node.right), dot))
        asking = self
        if operator in ("==", "!=") and any(self._text_of(side) == "null" for side in (node.left, node.right)):
            asking = self._quiet()
        elif operator == "+":  # null is nothing in a sum: what is not there may be meant to begin with
            asking = self._with(self._arguments, missing=False)
        left, right = asking.of(node.left, dot), asking.of(node.right, dot)
        single = left.single and right.single
        if operator in _COMPARISONS:
            return _Stream(BOOLEAN, single)
        if operator == "+":
            return _Stream(self._sum(node, left.type, right.type), single)
        return _Stream(NUMBER if all_numbers(left.type) and all_numbers(right.type) else ANY, single)

    def _sum(self, node: syntax.Binary, left: Type, right: Type) -> Type:
        if not apart(left, right):
            return sum_of(left, right)
        sides = f"`{self._text_of(node.left)}` is {left} and `{self._text_of(node.right)}` {right}"
        texts = "string" in left.kinds | right.kinds
        advice = "Write a text with `\\( )` in it" if texts else "Only what is alike has a sum"
        self._report((f"{sides}: they have no sum", advice))
        return NEVER

    def _text_of(self, node: Node) -> str:
        """A part of the program as it is written, in one line and not too long."""
        text = " ".join(self._program[node.start : node.end].split()) or "."
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

    def _call(self, name: str, arguments: tuple[Node, ...], dot: Type) -> _Stream:
        if name in _TEXTS:
            return _Stream(STRING, self._quiet()._all_single(arguments, dot))
        if name in _TRUTHS:
            return _Stream(BOOLEAN, single=len(arguments) == 0 or name in ("any", "all", "isempty"))
        is_array = dot.kinds == {"array"}
        match name, arguments:
            case "length" | "utf8bytelength", ():
                return _Stream(NUMBER if dot.kinds & {"number"} else INTEGER)
            case (("tonumber" | "floor" | "ceil" | "round" | "sqrt" | "fabs" | "abs" | "mktime" | "fromdate"), ()):
                return _Stream(NUMBER)
            case "map", (each,):
                return _Stream(array_of(self.of(each, dot.item if is_array else ANY).type))
            case "select", (condition,):
                self._quiet().of(condition, dot)
                return _Stream(dot, single=False)
            case "first" | "last", ():
                return _Stream(join(dot.item, NULL) if is_array else ANY)
            case "first", (each,):
                return _Stream(self.of(each, dot).type, single=False)
            case "keys" | "keys_unsorted", ():
                return _Stream(array_of(STRING) if dot.kinds == {"object"} else ARRAY)
            case "to_entries", ():
                return _Stream(array_of(object_of({"key": ANY, "value": ANY}, closed=False)))
            case "from_entries", ():
                return _Stream(OBJECT)
            case "with_entries", (each,):
                return _Stream(OBJECT)
            case "flatten" | "explode" | "transpose", ():
                return _Stream(ARRAY)
            case "group_by", (_,):
                return _Stream(ARRAY)
            case "split", (separator,):
                return _Stream(array_of(STRING), self._quiet().of(separator, dot).single)
            case "empty", ():
                return _Stream(NEVER, single=False)
            case "error", _:
                return _Stream(NEVER, single=False)
            case _ if name in _SAME:
                return _Stream(array_of(dot.item) if is_array else ANY)
            case _:
                return _ANYTHING


def constant_of(node: Node) -> str | None:
    """The text that a program always gives; None for any other program."""
    if not isinstance(node, syntax.Text) or node.inserted:
        return None
    try:
        return str(json.loads(f'"{node.text}"', strict=False))
    except ValueError:
        return None
