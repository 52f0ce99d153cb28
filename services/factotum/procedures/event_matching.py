"""Whether an event is one that is meant. Pure. Source: DSL 1.0.3, "Event Filter" and "Correlation".

An event is given as the mapping of its attributes, `data` among them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from factotum.procedures import expressions
from factotum.procedures.consumption import EventFilter
from factotum.procedures.expressions import Costly, ExpressionError, TooCostly

Json = Any

# A text of nothing else is meant as it stands: in `com.acme.created` no dot stands for any character.
_LITERAL = re.compile(r"[\w.\-/:]*")
_ABSENT = object()


async def takes(
    wanted: EventFilter, attributes: Mapping[str, Json], arguments: Mapping[str, Json], costly: Costly
) -> bool:
    """Whether an event has every attribute that a filter's `with` names, each as it is wanted.

    A text is compared as it is, and if it holds a character other than letters, digits and `.-_/:`
    also as a regular expression over the whole value, by jq's rules; an object is compared property by property.
    `${ … }` is evaluated on the attribute's value: where that gives true or false, it decides, and
    anything else is what the value must equal. An expression that fails on this event does not take it.
    """
    conditions = _conditions(wanted.with_, attributes)
    if conditions is None:
        return False
    for expression, actual in conditions:
        try:
            found = await expressions.resolve(expression, actual, arguments, costly)
        except ExpressionError:
            return False
        if not (found if isinstance(found, bool) else same(found, actual)):
            return False
    return True


def agrees(constants: Mapping[str, Json], attributes: Mapping[str, Json]) -> bool:
    """As `takes`, for what `constant_part` gives; a pattern that is costly on its value counts as met."""
    conditions = _conditions(constants, attributes)
    return conditions is not None and all(_seems_met(expression, actual) for expression, actual in conditions)


def _seems_met(expression: str, actual: Json) -> bool:
    try:
        return expressions.evaluate(expression, actual, {}) is True
    except TooCostly:
        return True
    except ExpressionError:
        return False


def _conditions(with_: Mapping[str, Json], attributes: Mapping[str, Json]) -> list[tuple[str, Json]] | None:
    """What is left to be evaluated, each expression with its value; None if a constant disagrees already."""
    left: list[tuple[str, Json]] = []
    for name, wanted in with_.items():
        if name not in attributes:
            return None
        actual = attributes[name]
        if isinstance(wanted, Mapping):
            inner = _conditions(wanted, actual) if isinstance(actual, Mapping) else None
            if inner is None:
                return None
            left += inner
        elif isinstance(wanted, str) and "${" in wanted:
            left.append((wanted, actual))
        elif not same(wanted, actual):
            if not isinstance(wanted, str) or not isinstance(actual, str) or is_literal(wanted):
                return None
            left.append((_matches(wanted), actual))
    return left


def _matches(pattern: str) -> str:
    """The expression that says whether a pattern is the whole of a text: a pattern can be as costly as a program."""
    quoted = json.dumps(rf"\A(?:{pattern})\z", ensure_ascii=False)
    return f"${{ test({quoted}) }}"


def same(one: Json, other: Json) -> bool:
    """Equality of JSON values: true is not 1, but 1 is 1.0."""
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


def is_literal(text: str) -> bool:
    """Whether a filter's text means nothing but itself."""
    return _LITERAL.fullmatch(text) is not None


def has_expression(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(has_expression(inner) for inner in value.values())
    if isinstance(value, list):
        return any(has_expression(inner) for inner in value)
    return isinstance(value, str) and "${" in value


def constant_part(with_: Mapping[str, Json]) -> dict[str, Json]:
    """What of a filter can be judged without running anything: it takes every event that the filter takes."""
    kept: dict[str, Json] = {}
    for name, wanted in with_.items():
        if isinstance(wanted, Mapping):
            kept[name] = constant_part(wanted)
        elif not has_expression(wanted):
            kept[name] = wanted
    return kept


def listened_to(document: Json) -> list[dict[str, Json]]:
    """The constant part of every filter that a document's `listen` tasks have, those of `until` included,
    wherever they stand in it: functions and extensions hold tasks too. An empty one takes every event.

    May name more than is ever listened to, e.g. what stands in data that looks like a task; never less.
    """
    found: list[dict[str, Json]] = []
    for consumption in _consumptions(document):
        for filter_ in _filters(consumption):
            if filter_ not in found:
                found.append(filter_)
    return [{}] if {} in found else found


def _consumptions(value: Json) -> Iterator[Mapping[str, Json]]:
    if isinstance(value, Mapping):
        listen = value.get("listen")
        if isinstance(listen, Mapping) and isinstance(listen.get("to"), Mapping):
            yield listen["to"]
        for inner in value.values():
            yield from _consumptions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _consumptions(inner)


def _filters(consumption: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if "one" in consumption:
        given = [consumption["one"]]
    else:
        named = consumption.get("any", consumption.get("all", ()))
        given = list(named) if isinstance(named, list | tuple) else []
        if consumption.get("any") == []:
            yield {}
    for wanted in given:
        if isinstance(wanted, Mapping):
            yield constant_part(wanted.get("with") or {})
    if isinstance(until := consumption.get("until"), Mapping):
        yield from _filters(until)


async def correlation_keys(
    wanted: EventFilter,
    attributes: Mapping[str, Json],
    *,
    value: Json,
    arguments: Mapping[str, Json],
    costly: Costly,
) -> dict[str, Json] | None:
    """By name, the values that the other events must share with this one: those of the keys without `expect`.

    None if the event does not belong: it lacks a key (null, or the expression fails), or has another value
    than is expected. `from` is evaluated on the event, an `expect` with `${ … }` on `value`; a constant is
    compared as text too, since the language has no other constants there.
    """
    keys: dict[str, Json] = {}
    for name, correlation in wanted.correlate.items():
        try:
            found = await expressions.resolve_expression(correlation.from_, attributes, arguments, costly)
            expected = _ABSENT
            if correlation.expect is not None:
                expected = await expressions.resolve(correlation.expect, value, arguments, costly)
        except ExpressionError:
            return None
        if found is None:
            return None
        if expected is _ABSENT:
            keys[name] = found
        elif not (same(expected, found) or (isinstance(expected, str) and expected == as_text(found))):
            return None
    return keys


def as_text(value: Json) -> str | None:
    """A number or a truth value as JSON writes it; None for what has no such text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None
