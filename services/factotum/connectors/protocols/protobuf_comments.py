"""What stands as a comment before the parts of proto files, where their descriptors carry it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    ServiceDescriptorProto,
)

_Path = tuple[int, ...]
_MESSAGES, _ENUMS, _SERVICES = (
    FileDescriptorProto.DESCRIPTOR.fields_by_name[n].number for n in ("message_type", "enum_type", "service")
)
_FIELDS, _NESTED, _NESTED_ENUMS = (
    DescriptorProto.DESCRIPTOR.fields_by_name[n].number for n in ("field", "nested_type", "enum_type")
)
_METHODS = ServiceDescriptorProto.DESCRIPTOR.fields_by_name["method"].number


def comments(files: FileDescriptorSet) -> dict[str, str]:
    """By full name, the first paragraph in one line."""
    found: dict[str, str] = {}
    for file in files.file:
        texts = {
            tuple(one.path): one.leading_comments or one.trailing_comments for one in file.source_code_info.location
        }
        for path, name in _names(file):
            if text := _first(texts.get(path, "")):
                found[name] = text
    return found


def _names(file: FileDescriptorProto) -> Iterator[tuple[_Path, str]]:
    yield from _of_messages((_MESSAGES,), file.package, file.message_type)
    yield from _of_enums((_ENUMS,), file.package, file.enum_type)
    for number, service in enumerate(file.service):
        name = _joined(file.package, service.name)
        yield (_SERVICES, number), name
        for method_number, method in enumerate(service.method):
            yield (_SERVICES, number, _METHODS, method_number), _joined(name, method.name)


def _of_messages(path: _Path, parent: str, messages: Iterable[DescriptorProto]) -> Iterator[tuple[_Path, str]]:
    for number, message in enumerate(messages):
        at, name = (*path, number), _joined(parent, message.name)
        yield at, name
        for field_number, field in enumerate(message.field):
            yield (*at, _FIELDS, field_number), _joined(name, field.name)
        yield from _of_messages((*at, _NESTED), name, message.nested_type)
        yield from _of_enums((*at, _NESTED_ENUMS), name, message.enum_type)


def _of_enums(path: _Path, parent: str, enums: Iterable[EnumDescriptorProto]) -> Iterator[tuple[_Path, str]]:
    for number, enum in enumerate(enums):
        yield (*path, number), _joined(parent, enum.name)


def _joined(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def _first(text: Any) -> str:
    return " ".join(str(text).strip().partition("\n\n")[0].split())
