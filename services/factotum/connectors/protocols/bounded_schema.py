"""JSON Schemas of strangers: what is held against one takes a bounded number of steps, whatever both are. Pure.

Validating is what jsonschema does (2020-12), in a few lines of a schema also for longer than anybody waits: references
that double with each one, an expression that backtracks. So steps are counted, and more of them than the value is worth
are a fault of the value. What can be seen of the schema alone is said when it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError as Fault
from jsonschema.protocols import Validator
from referencing.exceptions import Unresolvable

from factotum.connectors.protocols.linear_regex import RegexInvalid, regex

# Steps are ten to thirty microseconds each: so many for any value, and for each value inside. The examples of GitHub's
# description take two or three for each inside, at the most 31.
_STEPS, _STEPS_A_VALUE = 20_000, 50
# For each step more, so many characters.
_CHARACTERS_A_STEP = 10
# Of an expression, states times characters in one step.
_STATES_A_STEP = 100
_MEMBERS_A_STEP = 50
# Schemas that hold for one value at one place, references followed.
MOST_AT_ONE_PLACE = 20_000
# The keyword of faults that no keyword finds.
BOUND = "bound"

_TOGETHER = ("allOf", "anyOf", "oneOf")
_ALONE = ("not", "if", "then", "else")
_INSIDE = ("items", "additionalProperties", "contains", "propertyNames", "unevaluatedItems", "unevaluatedProperties")
_INSIDE_BY_NAME = ("properties", "patternProperties")
_VALUES = frozenset({"const", "default", "enum", "examples"})
_left: ContextVar[int] = ContextVar("steps that are left")

Resolve = Callable[[str], Any]


class SchemaUnbounded(ValueError):
    """A schema that nothing can be held against; the message says why."""


class _TooMuch(Exception):
    pass


def validator(schema: Any) -> Validator:
    """For `faults`; of a schema that was checked."""
    made: Validator = _Bounded(_of_one_dialect(schema) if _names_a_dialect(schema) else schema)
    return made


def faults(validator: Validator, value: Any, most: int) -> list[Fault]:
    """The first so many. A value for which the schema takes too many steps, or which is nested too deep for it, has a
    fault of the keyword `BOUND`, whose value says so."""
    token = _left.set(_worth(value))
    try:
        return list(islice(validator.iter_errors(value), most))
    except _TooMuch:
        return [_bound("takes too long to be held against its schema")]
    except RecursionError:
        return [_bound("is nested too deep for its schema")]
    except Unresolvable as error:
        return [_bound(f"cannot be held against its schema, which refers to {error.ref}")]
    finally:
        _left.reset(token)


def check(schema: Any) -> None:
    """Raises `SchemaUnbounded` for references that lead nowhere, elsewhere or in a circle, for more of them than are
    followed, and for patterns that backtrack. What is a JSON Schema at all is not looked at."""
    try:
        Expansion(lambda reference: target(schema, reference)).check(schema)
    except RecursionError:
        raise SchemaUnbounded("it is nested too deep") from None


def target(schema: Any, reference: str) -> Any:
    """What a reference inside of the schema leads to. Raises `SchemaUnbounded`."""
    if reference != "#" and not reference.startswith("#/"):
        raise SchemaUnbounded(f"it refers to {reference[:200]}: only references inside of it, #/…, are followed")
    found = schema
    for part in unquote(reference[1:]).split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise SchemaUnbounded(f"it refers to {reference[:200]}, which is not there")
    if not isinstance(found, dict | bool):
        raise SchemaUnbounded(f"it refers to {reference[:200]}, which is no schema")
    return found


class Expansion:
    """How many schemas hold for one value, references followed. Each reference is followed once, for all schemas that
    share them.

    Args:
        resolve: what a reference leads to; raises `SchemaUnbounded`.
    """

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        # None: being followed.
        self._sizes: dict[str, int | None] = {}

    def check(self, schema: Any) -> None:
        """Raises `SchemaUnbounded`; `RecursionError` for one that is nested too deep."""
        waiting = [schema]
        top = True
        while waiting:
            self._size(waiting.pop(), waiting, top=top)
            top = False

    def _size(self, schema: Any, waiting: list[Any], *, top: bool = False) -> int:
        if not isinstance(schema, dict):
            return 1
        for keyword in ("$dynamicRef", "$recursiveRef", *(() if top else ("$id",))):
            if isinstance(schema.get(keyword), str):
                raise SchemaUnbounded(f"it has {keyword} inside, which is not supported")
        size = 1
        if isinstance(schema.get("$ref"), str):
            size += self._followed(schema["$ref"], waiting)
        for one in _at_one_place(schema):
            size += self._size(one, waiting)
        _check_patterns(schema)
        waiting += _further(schema)
        if size > MOST_AT_ONE_PLACE:
            raise SchemaUnbounded(f"more than {MOST_AT_ONE_PLACE} of its schemas hold for one value")
        return size

    def _followed(self, reference: str, waiting: list[Any]) -> int:
        if reference in self._sizes:
            known = self._sizes[reference]
            if known is None:
                raise SchemaUnbounded(f"it refers to {reference[:200]}, which refers to itself without end")
            return known
        self._sizes[reference] = None
        try:
            found = self._resolve(reference)
            self._sizes[reference] = size = self._size(found, waiting, top=reference == "#")
        except BaseException:
            del self._sizes[reference]
            raise
        return size


def _at_one_place(schema: Mapping[str, Any]) -> Iterator[Any]:
    for keyword in _TOGETHER:
        if isinstance(several := schema.get(keyword), list):
            yield from several
    yield from (schema[keyword] for keyword in _ALONE if keyword in schema)
    if isinstance(by_name := schema.get("dependentSchemas"), dict):
        yield from by_name.values()


def _further(schema: Mapping[str, Any]) -> Iterator[Any]:
    for keyword in _INSIDE:
        if isinstance(schema.get(keyword), dict):
            yield schema[keyword]
    if isinstance(schema.get("prefixItems"), list):
        yield from schema["prefixItems"]
    for keyword in _INSIDE_BY_NAME:
        if isinstance(by_name := schema.get(keyword), dict):
            yield from by_name.values()


def _check_patterns(schema: Mapping[str, Any]) -> None:
    given = [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
    if isinstance(by_name := schema.get("patternProperties"), dict):
        given += [*by_name]
        if "unevaluatedProperties" in schema:
            raise SchemaUnbounded("it has unevaluatedProperties beside patternProperties, which is not supported")
    for pattern in given:
        try:
            regex(pattern)
        except RegexInvalid as error:
            raise SchemaUnbounded(str(error)) from error


def _of_one_dialect(schema: Any) -> Any:
    """Without the names of other dialects: jsonschema would go on with their validators, which count nothing."""
    if isinstance(schema, list):
        return [_of_one_dialect(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: inner if name in _VALUES else _of_one_dialect(inner)
        for name, inner in schema.items()
        if name != "$schema" or not isinstance(inner, str)
    }


def _names_a_dialect(schema: Any) -> bool:
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if isinstance(one.get("$schema"), str):
                return True
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return False


def _worth(value: Any) -> int:
    steps, waiting = _STEPS, [value]
    while waiting:
        one = waiting.pop()
        steps += _STEPS_A_VALUE
        if isinstance(one, str):
            steps += len(one) // _CHARACTERS_A_STEP
        elif isinstance(one, dict):
            steps += sum(map(len, one)) // _CHARACTERS_A_STEP
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
    return steps


def _spend(steps: int) -> None:
    left = _left.get() - steps
    if left < 0:
        raise _TooMuch
    _left.set(left)


def _bound(words: str) -> Fault:
    return Fault(words, validator=BOUND, validator_value=words)


def _counted(keyword: Any) -> Any:
    def found(validator: Any, asked: Any, value: Any, schema: Any) -> Any:
        _spend(1)
        return keyword(validator, asked, value, schema)

    return found


def _matches(pattern: str, text: str) -> bool:
    expression = regex(pattern)
    _spend(1 + expression.states * len(text) // _STATES_A_STEP)
    return expression.found(text)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[Fault]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield Fault("does not match")


def _pattern_properties(validator: Any, by_pattern: Any, value: Any, _: Any) -> Iterator[Fault]:
    if isinstance(value, dict):
        for pattern, schema in by_pattern.items():
            for name, inner in value.items():
                if _matches(pattern, name):
                    yield from validator.descend(inner, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, asked: Any, value: Any, schema: Any) -> Iterator[Fault]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    _spend(1 + len(value))
    for name in value:
        if name in known or any(_matches(pattern, name) for pattern in patterns):
            continue
        if asked is False:
            yield Fault("has a field that is not known")
            return
        yield from validator.descend(value[name], asked, path=name)


def _enum(_: Any, values: Any, value: Any, __: Any) -> Iterator[Fault]:
    _spend(1 + len(values) // _MEMBERS_A_STEP)
    # Most are of texts, which need no comparison one by one.
    if isinstance(value, str):
        if value not in values:
            yield Fault("is none of them")
    elif _canonical(value) not in map(_canonical, values):
        yield Fault("is none of them")


def _unique_items(_: Any, asked: Any, value: Any, __: Any) -> Iterator[Fault]:
    if asked and isinstance(value, list):
        _spend(1 + len(value))
        if len(set(map(_canonical, value))) < len(value):
            yield Fault("has one twice")


def _canonical(value: Any) -> str:
    """The same for what JSON Schema takes for the same: 1 and 1.0, objects in any order; not 1 and true."""
    return json.dumps(_plain(value), sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


_Bounded: Any = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {
        **{name: _counted(keyword) for name, keyword in Draft202012Validator.VALIDATORS.items()},
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "enum": _enum,
        "uniqueItems": _unique_items,
    },
)
