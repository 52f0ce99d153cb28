"""Values made from JSON Schemas (2020-12): small, readable, and the same for the same seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from jsonschema import Draft202012Validator
from rstr import Rstr

from factotum.procedures import schemas

Json = Any
Style = Literal["full", "many", "least", "mixed"]

MAX_DEPTH = 8
# As many as a list of the style `full` has, if its schema lets it: with one, `.[1]` would be nothing.
ITEMS = 3
MANY = 12
ATTEMPTS = 8
_MONDAY = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
# What a name says of a text that has no format.
_MEANINGS = (
    (re.compile(r"e?mail$", re.I), "email"),
    (re.compile(r"time_?zone$", re.I), "timezone"),
    (re.compile(r"(url|uri|href)$", re.I), "uri"),
    (re.compile(r"(^|[a-z_])date$", re.I), "date"),
    (re.compile(r"(^time|[a-z]At|_at|[tT]imestamp)$"), "date-time"),
)


class NoExample(ValueError):
    """No value could be made that the schema takes."""


@dataclass(slots=True)
class Examples:
    """Makes values.

    Args:
        style: `full`: everything that may be there is, three items to a list; `many`: the same, but
            twelve to a list; `least`: as little as the schema lets, null where it may be; `mixed`: by the dice.

    Attributes:
        open: whether a schema that says nothing was met: the value there is only one of any.
    """

    dice: Random
    style: Style = "full"
    open: bool = False
    _counts: dict[str, int] = field(default_factory=dict)

    def of(self, schema: Mapping[str, Json], name: str = "value") -> Json:
        """A value that the schema takes; `name` is what it is of. Raises `NoExample`."""
        root = dict(schema)
        validator = Draft202012Validator(
            root, registry=schemas.NOTHING_REMOTE, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        error = None
        for attempt in range(ATTEMPTS):
            # What keywords such as `not` and `if` forbid is found by trying others.
            style: Style = self.style if attempt == 0 else "mixed"
            value = _Maker(self, root, style).make(root, name, 0)
            error = next(iter(validator.iter_errors(value)), None)
            if error is None:
                return value
        where = "/".join(map(str, error.absolute_path)) if error is not None else ""
        raise NoExample(f"no example of {name} could be made{f' at {where}' if where else ''}")

    def number(self, name: str) -> int:
        self._counts[name] = self._counts.get(name, 0) + 1
        return self._counts[name]


@dataclass(slots=True)
class _Maker:
    examples: Examples
    root: dict[str, Json]
    style: Style

    def make(self, schema: Json, name: str, depth: int) -> Json:
        if not isinstance(schema, Mapping):
            self.examples.open = self.examples.open or schema is True
            return {}
        schema = self._whole(schema, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._pick(list(schema["enum"]))
        if isinstance(schema.get("examples"), list) and schema["examples"]:
            return self._pick(list(schema["examples"]))
        kinds = _kinds(schema)
        if not kinds:
            self.examples.open = True
            return {} if self.style != "mixed" else self._pick([{}, [], "text", 1, None])
        kind = self._kind(kinds)
        if kind == "null":
            return None
        return self._makers()[kind](schema, name, depth)

    def _makers(self) -> dict[str, Callable[[Mapping[str, Json], str, int], Json]]:
        return {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": self._number,
            "boolean": lambda *_: self._wanted(0.5),
        }

    def _whole(self, schema: Mapping[str, Json], depth: int) -> dict[str, Json]:
        """The schema with its reference, its `allOf` and one of its alternatives merged into it."""
        found = dict(schema)
        for _ in range(MAX_DEPTH):
            if isinstance(reference := found.pop("$ref", None), str):
                found = _merged(_pointed(self.root, reference), found)
            elif parts := found.pop("allOf", None):
                for part in parts:
                    found = _merged(found, part)
            elif alternatives := found.pop("anyOf", found.pop("oneOf", None)):
                found = _merged(found, self._alternative(list(alternatives), depth))
            else:
                break
        return found

    def _alternative(self, alternatives: list[Json], depth: int) -> Json:
        null = [each for each in alternatives if isinstance(each, Mapping) and each.get("type") == "null"]
        other = [each for each in alternatives if each not in null] or null
        if depth > MAX_DEPTH or self.style == "least":
            return (null or other)[0]
        return self._pick(alternatives) if self.style == "mixed" else other[0]

    def _kind(self, kinds: list[str]) -> str:
        if self.style == "mixed":
            return str(self._pick(kinds))
        nothing = "null" in kinds and self.style == "least"
        return "null" if nothing else next((kind for kind in kinds if kind != "null"), "null")

    def _pick(self, values: list[Json]) -> Json:
        return values[0] if self.style != "mixed" else self.examples.dice.choice(values)

    def _wanted(self, chance: float = 0.7) -> bool:
        """Whether to make what need not be there; `chance` is that of the style `mixed`."""
        return self.style in ("full", "many") or (self.style == "mixed" and self.examples.dice.random() < chance)

    def _object(self, schema: Mapping[str, Json], name: str, depth: int) -> Json:
        properties: Mapping[str, Json] = schema.get("properties", {})
        required = list(schema.get("required", ()))
        made: dict[str, Json] = {}
        for key, inner in properties.items():
            if key in required or (depth < MAX_DEPTH and self._wanted()):
                made[key] = self.make(inner, key, depth + 1)
        rest = schema.get("additionalProperties", True)
        if not properties and rest is not False:
            self.examples.open = self.examples.open or rest is True
        for key in required:
            if key not in made:
                made[key] = self.make(rest, key, depth + 1)
        for number in range(len(made) + 1, schema.get("minProperties", 0) + 1):
            key, inner = self._further(schema, f"{name}{number}")
            if inner is not False:
                made[key] = self.make(inner, name, depth + 1)
        return made

    def _further(self, schema: Mapping[str, Json], key: str) -> tuple[str, Json]:
        """A key beyond the named ones, `key` if it may be, and the schema of its value."""
        for pattern, inner in schema.get("patternProperties", {}).items():
            return (key if re.search(pattern, key) else Rstr(self.examples.dice).xeger(pattern)), inner
        return key, schema.get("additionalProperties", True)

    def _array(self, schema: Mapping[str, Json], name: str, depth: int) -> Json:
        first: list[Json] = list(schema.get("prefixItems", ()))
        least, most = schema.get("minItems", 0), schema.get("maxItems", MANY)
        # Many in a list of lists would be too many.
        many = MANY if depth <= 1 else ITEMS
        wanted = {"full": ITEMS, "many": many, "least": 0}.get(self.style, self.examples.dice.randint(0, ITEMS))
        count = max(least, min(most, 0 if depth > MAX_DEPTH else wanted))
        if "items" not in schema and not first:
            self.examples.open = True
        rest = schema.get("items", {})
        one = name[:-1] if name.endswith("s") and len(name) > 1 else name
        if rest is False:
            count = min(count, len(first))
        return [self.make(first[at] if at < len(first) else rest, one, depth + 1) for at in range(count)]

    def _string(self, schema: Mapping[str, Json], name: str, depth: int) -> Json:
        meaning = schema.get("format") or next((means for pattern, means in _MEANINGS if pattern.search(name)), "")
        number = self.examples.number(name)
        text = _FORMATS.get(meaning, _numbered)(name, number)
        pattern = schema.get("pattern")
        if pattern is not None and re.search(pattern, text) is None:
            moment = _moment(number).strftime("%Y-%m-%dT%H:%M:%S")
            text = moment if re.search(pattern, moment) else Rstr(self.examples.dice).xeger(pattern)
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if len(text) < least:
            text += "x" * (least - len(text))
        return text if most is None else text[:most]

    def _integer(self, schema: Mapping[str, Json], name: str, depth: int) -> Json:
        step = schema.get("multipleOf", 1)
        least = schema.get("minimum", schema.get("exclusiveMinimum", -step) + step)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 100 * step + step) - step)
        low, high = -(-least // step), most // step
        if self.style == "mixed":
            return int(self.examples.dice.randint(int(low), max(int(low), int(high))) * step)
        typical = 0 if self.style == "least" else 1
        return int(min(max(typical, low), high) * step)

    def _number(self, schema: Mapping[str, Json], name: str, depth: int) -> Json:
        return self._integer(schema, name, depth)


def _moment(number: int) -> datetime:
    return _MONDAY + timedelta(days=number - 1)


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number}"


_FORMATS: dict[str, Callable[[str, int], str]] = {
    "date": lambda _, at: _moment(at).date().isoformat(),
    "date-time": lambda _, at: _moment(at).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "time": lambda _, at: "09:00:00Z",
    "duration": lambda _, at: f"PT{at}H",
    "email": lambda name, at: f"{name}-{at}@example.com",
    "idn-email": lambda name, at: f"{name}-{at}@example.com",
    "hostname": lambda _, at: f"host-{at}.example.com",
    "ipv4": lambda _, at: f"192.0.2.{at % 250 + 1}",
    "ipv6": lambda _, at: f"2001:db8::{at % 9000 + 1}",
    "uri": lambda name, at: f"https://example.com/{name}/{at}",
    "uri-reference": lambda name, at: f"/{name}/{at}",
    "uuid": lambda _, at: f"00000000-0000-4000-8000-{at:012x}",
    "timezone": lambda _, at: "UTC",
}


def _kinds(schema: Mapping[str, Json]) -> list[str]:
    """The types that the schema names, or that its keywords are about."""
    named = schema.get("type")
    if named is not None:
        return [named] if isinstance(named, str) else list(named)
    if "properties" in schema or "required" in schema or "additionalProperties" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return ["string"] if "pattern" in schema or "format" in schema else []


def _merged(one: Json, other: Json) -> dict[str, Json]:
    """Both schemas in one, as far as keywords can be put together; the other's count."""
    left, right = (dict(each) if isinstance(each, Mapping) else {} for each in (one, other))
    found = {**left, **right}
    if "properties" in left and "properties" in right:
        both = left["properties"].keys() & right["properties"].keys()
        merged = {key: _merged(left["properties"][key], right["properties"][key]) for key in both}
        found["properties"] = {**left["properties"], **right["properties"], **merged}
    if "required" in left and "required" in right:
        found["required"] = list(dict.fromkeys([*left["required"], *right["required"]]))
    return found


def _pointed(root: Mapping[str, Json], reference: str) -> Json:
    found: Json = root
    for token in reference.removeprefix("#").split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        found = found[int(key)] if isinstance(found, list) else found[key]
    return found
