"""Schemas of an OpenAPI document (3.0 or 3.1) as JSON Schema 2020-12. Pure.

OpenAPI 3.0 has a dialect of its own (https://spec.openapis.org/oas/v3.0.4.html#schema-object): `nullable`,
`exclusiveMinimum` as a boolean, references without siblings. What a schema refers to stands under `$defs`; each
named schema is converted once, and all that refer to it share the object. Recursion stays recursion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from factotum.connectors.protocols import linear_regex
from factotum.connectors.protocols.bounded_schema import Expansion, SchemaUnbounded
from factotum.connectors.protocols.openapi_document import target

Schema = dict[str, Any]


class SchemaInvalid(ValueError):
    """A part of a document is no schema; the message says which."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) and value else [value]
    return all(isinstance(name, str) and name in _TYPES for name in names)


# Keywords that are kept as they are, with what they must be.
_PLAIN: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("title", "description", "format", "contentEncoding", "contentMediaType"), _is_text),
    **dict.fromkeys(("deprecated", "readOnly", "writeOnly", "uniqueItems"), _is_bool),
    **dict.fromkeys(("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"), _is_number),
    **dict.fromkeys(("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), _is_count),
    **dict.fromkeys(("minContains", "maxContains"), _is_count),
    "enum": _is_list,
    "dependentRequired": lambda value: isinstance(value, dict),
    "type": _is_type,
}
_ANYTHING = frozenset({"default", "const"})
_ONE = ("items", "not", "additionalProperties")
_ONE_MODERN = ("contains", "propertyNames", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties")
_MANY = ("allOf", "anyOf", "oneOf")
_NAMED = ("properties",)
_NAMED_MODERN = ("patternProperties", "dependentSchemas")
_NAMES = ("patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames")
_UNSUPPORTED = ("$dynamicRef", "$recursiveRef", "$id", "$anchor")
# Definitions that are gathered for one schema alone; see `Schemas.definitions`.
MOST_OWN = 200


class Schemas:
    """The schemas of one document, as they hold for what is sent or for what is answered: what is read-only is not
    sent, what is write-only is not answered.

    Answers are not held to regular expressions. What is sent is, but to those that cannot be matched without
    backtracking: with such a pattern, a text could keep this process busy for ever.
    """

    def __init__(self, document: Mapping[str, Any], *, sent: bool) -> None:
        self._document = document
        self._modern = not str(document.get("openapi", "")).startswith("3.0")
        self._sent = sent
        self._hidden = "readOnly" if sent else "writeOnly"
        self._names: dict[str, str] = {}
        self._references: dict[str, str] = {}
        # Each with what it refers to, in order.
        self._named: dict[str, tuple[Schema | bool, list[str]]] = {}
        self._shared: Schema = {}
        # Of those that reach more than `MOST_OWN`.
        self._reaching_much: set[str] = set()
        self._expansion = Expansion(self._defined)

    def converted(self, schema: Any) -> tuple[Schema | bool, frozenset[str]]:
        """The schema, and the references whose `definitions` it needs. Raises `SchemaInvalid`."""
        references: set[str] = set()
        return self._schema(schema, references), frozenset(references)

    def checked(self, schema: Any) -> tuple[Schema | bool, frozenset[str]]:
        """As `converted`; raises `SchemaInvalid` as well for what no value can be held against in bounded time."""
        made, references = self.converted(schema)
        try:
            self._expansion.check(made)
        except SchemaUnbounded as error:
            raise SchemaInvalid(str(error)) from error
        except RecursionError:
            raise SchemaInvalid("its schema is nested too deep") from None
        return made, references

    def definitions(self, references: Iterable[str]) -> Schema:
        """What stands under `$defs`: all that is reached from these references. Raises `SchemaInvalid`.

        Where that is more than `MOST_OWN` it is one object for all that reach so much, with what any of them reaches,
        and it grows with them: a document whose schemas refer to each other has as many references to gather as
        operations times schemas.
        """
        wanted = sorted(references)
        found = self._reached(wanted, without={}, most=MOST_OWN)
        if found is not None:
            return found
        if len(wanted) == 1:
            self._reaching_much.update(wanted)
        self._shared.update(self._reached(wanted, without=self._shared) or {})
        return self._shared

    def _reached(self, references: list[str], *, without: Schema, most: int | None = None) -> Schema | None:
        """Those that are reached and not among the others, which reach nothing further; None for more than `most`."""
        found: Schema = {}
        waiting = [*references]
        while waiting:
            reference = waiting.pop()
            name = self._name(reference)
            if name in found or name in without:
                continue
            if most is not None and (len(found) == most or reference in self._reaching_much):
                return None
            found[name], further = self._definition(reference)
            waiting.extend(further)
        return found

    def closed(self, schema: Any) -> Schema:
        """The schema with its `$defs`. Raises `SchemaInvalid`."""
        made, references = self.converted(schema)
        if isinstance(made, bool):
            made = {} if made else {"not": {}}
        return {**made, "$defs": self.definitions(references)} if references else made

    def _definition(self, reference: str) -> tuple[Schema | bool, list[str]]:
        if reference not in self._named:
            try:
                made, references = self.converted(target(self._document, reference))
                self._named[reference] = made, sorted(references)
            except SchemaInvalid as error:
                raise SchemaInvalid(f"{reference}: {error}") from None
        return self._named[reference]

    def _defined(self, reference: str) -> Schema | bool:
        """What stands under a reference to `$defs`."""
        return self._definition(self._references[reference.removeprefix("#/$defs/")])[0]

    def _name(self, reference: str) -> str:
        if reference not in self._names:
            wanted = reference.removeprefix("#/components/schemas/")
            wanted = re.sub(r"[^A-Za-z0-9._-]+", "_", wanted).strip("_") or "schema"
            name, number = wanted, 1
            while name in self._references:
                number += 1
                name = f"{wanted}_{number}"
            self._references[name] = reference
            self._names[reference] = name
        return self._names[reference]

    def _schema(self, given: Any, references: set[str]) -> Schema | bool:
        if isinstance(given, bool):
            return given
        if not isinstance(given, dict):
            raise SchemaInvalid(f"a schema is an object, not {type(given).__name__}")
        made: Schema = {}
        names = given.get("patternProperties", {})
        if names and not (self._sent and isinstance(names, dict) and all(map(linear_regex.is_usable, names))):
            # Without the names that it allows, no others can be said to be too many.
            given = {keyword: value for keyword, value in given.items() if keyword not in _NAMES}
        if "$ref" in given:
            reference = given["$ref"]
            if not isinstance(reference, str) or not reference.startswith("#/"):
                raise SchemaInvalid(f"it refers to {reference}: only references inside of the document are followed")
            references.add(reference)
            made["$ref"] = f"#/$defs/{self._name(reference)}"
            if not self._modern:
                return made
        if self._modern:
            for keyword in _UNSUPPORTED:
                if keyword in given:
                    raise SchemaInvalid(f"{keyword} is not supported")
        self._plain(given, made)
        self._parts(given, made, references)
        if "discriminator" in given:
            self._discriminated(given, made)
        if not self._modern:
            _from_3_0(given, made)
        return made

    def _plain(self, given: Mapping[str, Any], made: Schema) -> None:
        for keyword, value in given.items():
            if keyword in _ANYTHING:
                made[keyword] = value
            elif keyword in ("exclusiveMinimum", "exclusiveMaximum") and isinstance(value, bool) and not self._modern:
                continue
            elif keyword in _PLAIN:
                if not _PLAIN[keyword](value):
                    raise SchemaInvalid(f"`{keyword}: {str(value)[:80]}` is not what {keyword} may be")
                made[keyword] = value
            elif keyword == "pattern" and self._sent and isinstance(value, str) and linear_regex.is_usable(value):
                made[keyword] = value

    def _parts(self, given: Mapping[str, Any], made: Schema, references: set[str]) -> None:
        for keyword in (*_ONE, *(_ONE_MODERN if self._modern else ())):
            if keyword in given:
                made[keyword] = self._schema(given[keyword], references)
        for keyword in (*_MANY, *(("prefixItems",) if self._modern else ())):
            if keyword in given:
                if not isinstance(given[keyword], list) or not given[keyword]:
                    raise SchemaInvalid(f"{keyword} is a list of schemas")
                made[keyword] = [self._schema(one, references) for one in given[keyword]]
        for keyword in (*_NAMED, *(_NAMED_MODERN if self._modern else ())):
            if keyword in given:
                if not isinstance(given[keyword], dict):
                    raise SchemaInvalid(f"{keyword} is an object of schemas")
                made[keyword] = {name: self._schema(one, references) for name, one in given[keyword].items()}
        required = given.get("required")
        # A `required: true` beside a property is of an older JSON Schema and means nothing in this one.
        if isinstance(required, list):
            parts = given.get("properties")
            hidden = {
                name
                for name, one in (parts.items() if isinstance(parts, dict) else ())
                if isinstance(one, dict) and one.get(self._hidden) is True
            }
            made["required"] = [name for name in required if isinstance(name, str) and name not in hidden]

    def _discriminated(self, given: Mapping[str, Any], made: Schema) -> None:
        """Each alternative holds for its own values of the property only: two that overlap are told apart by it."""
        discriminator = given["discriminator"]
        name = discriminator.get("propertyName") if isinstance(discriminator, dict) else None
        if not isinstance(name, str):
            return
        mapping = discriminator.get("mapping")
        targets: dict[str, list[str]] = {}
        for value, meant in mapping.items() if isinstance(mapping, dict) else ():
            reference = meant if str(meant).startswith("#/") else f"#/components/schemas/{meant}"
            targets.setdefault(reference, []).append(value)
        for keyword in ("oneOf", "anyOf"):
            for place, one in enumerate(given.get(keyword) or ()):
                reference = one.get("$ref") if isinstance(one, dict) else None
                if isinstance(reference, str):
                    values = targets.get(reference) or [reference.rpartition("/")[2]]
                    # Its alternatives say themselves whether it must be there.
                    tag = {"properties": {name: {"enum": values}}}
                    made[keyword][place] = {"allOf": [made[keyword][place], tag]}


def _from_3_0(given: Mapping[str, Any], made: Schema) -> None:
    for limit, keyword in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if given.get(keyword) is True and limit in made:
            made[keyword] = made.pop(limit)
    if given.get("nullable") is not True:
        return
    if isinstance(made.get("enum"), list) and None not in made["enum"]:
        # By the letter null is none of the values; those who write `nullable` beside `enum` mean that it is.
        made["enum"] = [*made["enum"], None]
    if isinstance(made.get("type"), str):
        made["type"] = [made["type"], "null"]
    elif any(keyword in made for keyword in _MANY):
        inner = {keyword: made.pop(keyword) for keyword in list(made) if keyword not in ("title", "description")}
        made["anyOf"] = [inner, {"type": "null"}]
