"""JSON Schemas of protobuf messages, in the JSON mapping that `google.protobuf.json_format` reads and writes.

Source: Protocol Buffers documentation, "ProtoJSON Format". What a caller gives is described closed: a misspelt field
is a fault. What a service answers is described open: a newer one has more fields, which are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Json = dict[str, Any]
# A full name's comment; empty: none.
Comments = Mapping[str, str]

_F = FieldDescriptor
_INT32: Json = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Json = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_SIGNED, _UNSIGNED = r"^-?[0-9]{1,20}$", r"^[0-9]{1,20}$"
_NUMBER: Json = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
_BYTES: Json = {"type": "string", "contentEncoding": "base64"}
_SCALARS: dict[int, Json] = {
    _F.TYPE_DOUBLE: _NUMBER,
    _F.TYPE_FLOAT: _NUMBER,
    _F.TYPE_INT32: _INT32,
    _F.TYPE_SINT32: _INT32,
    _F.TYPE_SFIXED32: _INT32,
    _F.TYPE_UINT32: _UINT32,
    _F.TYPE_FIXED32: _UINT32,
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: _BYTES,
}
_INT64 = {_F.TYPE_INT64: _SIGNED, _F.TYPE_SINT64: _SIGNED, _F.TYPE_SFIXED64: _SIGNED}
_UINT64 = {_F.TYPE_UINT64: _UNSIGNED, _F.TYPE_FIXED64: _UNSIGNED}
_LONG = {**_INT64, **_UINT64}

_WRAPPERS = {
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
}
_WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {
        "type": "object",
        "required": ["@type"],
        "properties": {"@type": {"type": "string"}},
    },
}


def schema(message: Descriptor, *, given: bool, comments: Comments) -> Json:
    """The schema of a message as an object with its own `$defs`; `given`: of what a caller gives."""
    made = _Making(given, comments)
    if message.full_name in _WELL_KNOWN or message.full_name in _WRAPPERS:
        return made.well_known(message)
    root = made.fields(message)
    return {**root, "$defs": made.defs} if made.defs else root


class _Making:
    def __init__(self, given: bool, comments: Comments) -> None:
        self._given = given
        self._comments = comments
        self.defs: dict[str, Json] = {}

    def fields(self, message: Descriptor) -> Json:
        """The schema of the message itself, those inside it by reference."""
        properties = {field.json_name: self._described(field) for field in message.fields}
        required = [field.json_name for field in message.fields if self._is_there(field)]
        made: Json = {"type": "object", "properties": properties}
        if text := self._comments.get(message.full_name):
            made["description"] = text
        if required:
            made["required"] = required
        if self._given:
            made["additionalProperties"] = False
            if choices := [_at_most_one([f.json_name for f in one.fields]) for one in _real_oneofs(message)]:
                made["allOf"] = choices
        return made

    def well_known(self, message: Descriptor) -> Json:
        if message.full_name in _WRAPPERS:
            return self._one(message.fields_by_name["value"])
        return dict(_WELL_KNOWN[message.full_name])

    def _is_there(self, field: FieldDescriptor) -> bool:
        """Whether a value always is: what is at its default is written all the same."""
        return field.is_required if self._given else field.is_required or not field.has_presence

    def _described(self, field: FieldDescriptor) -> Json:
        found = self._value(field)
        text = self._comments.get(field.full_name)
        return {**found, "description": text} if text else found

    def _value(self, field: FieldDescriptor) -> Json:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return {
                "type": "object",
                "additionalProperties": self._one(field.message_type.fields_by_name["value"]),
            }
        one = self._one(field)
        return {"type": "array", "items": one} if field.is_repeated else one

    def _one(self, field: FieldDescriptor) -> Json:
        if field.type in _LONG:
            return {"type": ["string", "integer"] if self._given else "string", "pattern": _LONG[field.type]}
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.message_type is not None:
            return self._message(field.message_type)
        return dict(_SCALARS[field.type])

    def _message(self, message: Descriptor) -> Json:
        name = message.full_name
        if name in _WELL_KNOWN or name in _WRAPPERS:
            return self.well_known(message)
        return self._kept(name, lambda: self.fields(message))

    def _enum(self, enum: EnumDescriptor) -> Json:
        if enum.full_name == "google.protobuf.NullValue":
            return {"type": "null"}
        return self._kept(enum.full_name, lambda: self._names(enum))

    def _names(self, enum: EnumDescriptor) -> Json:
        names: Json = {"enum": [value.name for value in enum.values]}
        if text := self._comments.get(enum.full_name):
            names["description"] = text
        # A newer service may answer a number that has no name here.
        return names if self._given else {"anyOf": [names, {"type": "integer"}]}

    def _kept(self, name: str, make: Callable[[], Json]) -> Json:
        if name not in self.defs:
            self.defs[name] = {}  # it may hold itself
            self.defs[name] = make()
        return {"$ref": f"#/$defs/{name}"}


def _real_oneofs(message: Descriptor) -> list[Any]:
    """Without those that proto3 makes of an optional field."""
    return [one for one in message.oneofs if len(one.fields) > 1]


def _at_most_one(names: list[str]) -> Json:
    each: list[Json] = [{"required": [name]} for name in names]
    return {"oneOf": [*each, {"not": {"anyOf": each}}]}
