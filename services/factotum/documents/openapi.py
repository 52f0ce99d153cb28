"""OpenAPI 3.0 and 3.1 and Swagger 2.0: what an interface is for, and a section an operation. Pure.

Only references inside the document are followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from factotum.connectors.protocols.openapi_document import Described, described, followed
from factotum.connectors.protocols.openapi_text import parsed
from factotum.documents import markdown
from factotum.documents.errors import NotADocument
from factotum.documents.sections import Block, Outline, Reading, Section
from factotum.sdk.errors import InvalidArgument

MOST_OPERATIONS = 10_000

# What is told of an operation is to fit into a chunk: of a field its first sentence, up to so many characters; how deep
# the fields of what is sent are told, and how many of one object.
_LONGEST_TOLD = 100
_SENT_DEPTH = 2
_MOST_FIELDS = 30
_MOST_VALUES = 12
_MOST_LINES = 100
# Lists in lists and schemas made of schemas: either may be inside itself.
_MOST_LAYERS = 3

_Document = Mapping[str, Any]


def read(content: bytes) -> Reading:
    """Raises `NotADocument` for JSON and YAML that are no description of an interface."""
    try:
        document = parsed(content, "it")
        operations = list(described(document, address="it"))
    except InvalidArgument as error:
        raise NotADocument(str(error)) from error
    if len(operations) > MOST_OPERATIONS:
        raise NotADocument(f"it has {len(operations)} operations, and at most {MOST_OPERATIONS} are read")
    info = _mapping(document.get("info"))
    title = _line(info.get("title"))
    outline = Outline()
    outline.heading(1, title)
    markdown.read_into(outline, _text(info.get("description")), below=1)
    return Reading(
        title,
        (
            *(section for section in outline.sections() if section.blocks),
            *(Section((title, f"{one.method} {one.path}"), tuple(_operation(document, one))) for one in operations),
        ),
    )


def _operation(document: _Document, one: Described) -> Iterator[Block]:
    found = one.found
    summary = _line(found.get("summary")) or _line(one.item.get("summary"))
    deprecated = " (deprecated)" if found.get("deprecated") is True else ""
    yield Block(f"{one.method} {one.path}{deprecated}{f': {summary}' if summary else ''}")
    if names := ", ".join(filter(None, [one.id and f"operation {one.id}", *one.tags])):
        yield Block(names)
    for part in (found.get("description"), one.item.get("description")):
        yield from _described(_text(part))
    yield from _lines("Parameters:", _parameters(document, one))
    yield from _lines("Body:", _body(document, found))
    yield from _lines("Answers:", _answers(document, found))


def _described(text: str) -> Iterator[Block]:
    outline = Outline()
    markdown.read_into(outline, text)
    for section in outline.sections():
        yield from (Block(title) for title in section.titles[-1:])
        yield from section.blocks


def _lines(title: str, lines: Iterator[str]) -> Iterator[Block]:
    if found := list(islice(lines, _MOST_LINES)):
        yield Block("\n".join([title, *found]), lines=True, head=f"{title}\n")


def _parameters(document: _Document, one: Described) -> Iterator[str]:
    given = [*_list(one.item.get("parameters")), *_list(one.found.get("parameters"))]
    # What an operation says of a parameter takes the place of what its path says.
    merged = {(each.get("name"), each.get("in")): each for each in (_followed(document, each) for each in given)}
    for each in merged.values():
        if each.get("in") == "body":
            yield from _fields(document, each.get("schema"), _SENT_DEPTH)
            continue
        schema = _followed(document, each.get("schema", each))
        about = ", ".join(filter(None, [_line(each.get("in")), _kind(document, schema), _required(each)]))
        yield _told(_line(each.get("name")), about, each.get("description"), schema)


def _body(document: _Document, found: _Document) -> Iterator[str]:
    asked = _followed(document, found.get("requestBody"))
    if said := _short(asked.get("description")):
        yield said
    yield from _fields(document, _schema(asked), _SENT_DEPTH)


def _answers(document: _Document, found: _Document) -> Iterator[str]:
    for status, given in _mapping(found.get("responses")).items():
        answer = _followed(document, given)
        fields = ""
        if str(status).startswith(("2", "d")):
            names = [line.partition(" ")[0] for line in _fields(document, _schema(answer), 1)]
            fields = f" with {', '.join(dict.fromkeys(names))}" if names else ""
        yield f"{status}: {_short(answer.get('description'))}{fields}"


def _schema(holder: _Document) -> Any:
    """Of the first way to write it: the others say the same. Swagger 2.0 has but one."""
    kinds = _mapping(holder.get("content"))
    return _mapping(next(iter(kinds.values()), holder)).get("schema")


def _fields(document: _Document, given: Any, depth: int, layers: int = _MOST_LAYERS) -> Iterator[str]:
    """A line for each field of an object, of the objects in a list, and of what these are put together from."""
    schema = _followed(document, given)
    parts = [schema["items"]] if "items" in schema else []
    for name in ("allOf", "oneOf", "anyOf"):
        parts += _list(schema.get(name))[:_MOST_FIELDS]
    for part in parts if layers else ():
        yield from _fields(document, part, depth, layers - 1)
    required = {str(name) for name in _list(schema.get("required"))}
    for name, value in list(_mapping(schema.get("properties")).items())[:_MOST_FIELDS]:
        field = _followed(document, value)
        about = ", ".join(filter(None, [_kind(document, field), "required" if name in required else ""]))
        yield _told(str(name), about, field.get("description"), field)
        if depth > 1:
            yield from (f"  {line}" for line in _fields(document, field, depth - 1, layers))


def _told(name: str, about: str, description: Any, schema: _Document) -> str:
    allowed = [_short(str(value)) for value in _list(schema.get("enum"))]
    if len(allowed) > _MOST_VALUES:
        allowed = [*allowed[:_MOST_VALUES], "…"]
    values = f"one of {', '.join(allowed)}" if allowed else ""
    said = "; ".join(filter(None, [_short(description), values]))
    return f"{name}{f' ({about})' if about else ''}{f': {said}' if said else ''}"


def _kind(document: _Document, schema: _Document, layers: int = _MOST_LAYERS) -> str:
    kind = schema.get("type")
    names = [str(each) for each in kind] if isinstance(kind, list) else [kind] if isinstance(kind, str) else []
    if names == ["array"] and layers:
        inner = _kind(document, _followed(document, schema.get("items")), layers - 1)
        return f"array of {inner}" if inner else "array"
    form = schema.get("format")
    return " or ".join(names) + (f" {form}" if names and isinstance(form, str) else "")


def _required(parameter: _Document) -> str:
    return "required" if parameter.get("required") is True else ""


def _followed(document: _Document, given: Any) -> _Document:
    """What a reference stands for; nothing for one that leads out of the document or nowhere."""
    try:
        return _mapping(followed(document, given)) if isinstance(given, dict) else {}
    except InvalidArgument:
        return {}


def _line(value: Any) -> str:
    return " ".join(_text(value).split())


def _short(value: Any) -> str:
    """Its first sentence, or the beginning of that."""
    line = _line(value)
    line = line.partition(". ")[0].rstrip(".")
    return line if len(line) <= _LONGEST_TOLD else f"{line[:_LONGEST_TOLD].rpartition(' ')[0]} …"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
