"""What an OpenAPI document (Swagger 2.0, OpenAPI 3.0 and 3.1) says of one operation. Pure.

Only references inside the document are followed. A parameter of OpenAPI 3 and one of Swagger 2.0 become the same
`Parameter`: how a value is written follows from its style, its separator and whether it is exploded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from factotum.sdk.errors import InvalidArgument

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SEPARATORS = {"csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|", "multi": ","}
_STYLES = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|", "deepObject": ","}
# OpenAPI 3: definitions of these in `parameters` are ignored.
_IGNORED = frozenset({"accept", "content-type", "authorization"})
_MOST_REFERENCES = 32


@dataclass(frozen=True, slots=True)
class Parameter:
    """`where` is path, query, header, cookie or form; `deep` is the style deepObject, `as_json` a JSON text."""

    name: str
    where: str
    required: bool
    schema: Mapping[str, Any]
    separator: str = ","
    explode: bool = False
    deep: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """`name` is the parameter that holds it as a whole."""

    name: str
    required: bool
    content_type: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """`base` is the absolute address that `path` is below; `document` is what references in schemas point into."""

    method: str
    base: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Body | None
    document: Mapping[str, Any]


def operation(document: Mapping[str, Any], operation_id: str, *, address: str) -> Operation:
    """The operation of this id. `address` is where the document was read, which relative servers are below.

    Raises `InvalidArgument` for a document that cannot be used or has no such operation, naming some that it has.
    """
    swagger = str(document.get("swagger", "")) == "2.0"
    if not swagger and not str(document.get("openapi", "")).startswith("3."):
        raise InvalidArgument(f"{address} is no OpenAPI 3 or Swagger 2.0 document")
    names = []
    for path, item, method, found in _operations(document):
        if found.get("operationId") == operation_id:
            given = [*_list(item.get("parameters")), *_list(found.get("parameters"))]
            # What an operation says of a parameter takes the place of what its path says.
            merged = {(one["name"], one["in"]): one for one in (_followed(document, one) for one in given)}
            read = _swagger if swagger else _openapi
            return read(document, found, item, merged, method=method, path=path, address=address)
        names.append(str(found.get("operationId", "")))
    known = ", ".join(sorted(filter(None, names))[:20])
    raise InvalidArgument(f"{address} has no operation {operation_id!r}; it has {known or 'none with an id'}")


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Any, str, Any]]:
    for path, given in _mapping(document.get("paths")).items():
        item = _followed(document, given)
        for method in _METHODS:
            if isinstance(item.get(method), dict):
                yield path, item, method, item[method]


def _swagger(
    document: Mapping[str, Any], found: Any, item: Any, given: dict[Any, Any], *, method: str, path: str, address: str
) -> Operation:
    consumes = _list(found.get("consumes", document.get("consumes"))) or ["application/json"]
    parameters, body = [], None
    for one in given.values():
        if one["in"] == "body":
            kind = next((kind for kind in consumes if "json" in kind), consumes[0])
            body = Body(one["name"], bool(one.get("required")), kind, _mapping(one.get("schema")))
            continue
        collection = one.get("collectionFormat", "csv")
        parameters.append(
            Parameter(
                name=one["name"],
                where="form" if one["in"] == "formData" else one["in"],
                required=bool(one.get("required")),
                schema={key: value for key, value in one.items() if key not in ("required", "name", "in")},
                separator=_SEPARATORS.get(collection, ","),
                explode=collection == "multi",
            )
        )
    parts = urlsplit(address)
    schemes = _list(found.get("schemes", document.get("schemes"))) or [parts.scheme]
    scheme = parts.scheme if parts.scheme in schemes else "https" if "https" in schemes else schemes[0]
    base = f"{scheme}://{document.get('host') or parts.netloc}{document.get('basePath') or ''}"
    schemes_of_keys = _mapping(document.get("securityDefinitions"))
    return _made(document, method, base, path, [*parameters, *_keys(schemes_of_keys, given)], body)


def _openapi(
    document: Mapping[str, Any], found: Any, item: Any, given: dict[Any, Any], *, method: str, path: str, address: str
) -> Operation:
    parameters = []
    for one in given.values():
        if one["in"] == "header" and one["name"].lower() in _IGNORED:
            continue
        style = one.get("style", "form" if one["in"] in ("query", "cookie") else "simple")
        if style not in _STYLES:
            raise InvalidArgument(f"the parameter {one['name']!r} is of the style {style}, which is not supported")
        content = _mapping(one.get("content"))
        schema = _mapping(next(iter(content.values()), {})).get("schema") if content else one.get("schema")
        parameters.append(
            Parameter(
                name=one["name"],
                where=one["in"],
                required=bool(one.get("required")),
                schema=_mapping(schema),
                separator=_STYLES[style],
                explode=bool(one.get("explode", style == "form")),
                deep=style == "deepObject",
                as_json=bool(content),
            )
        )
    body = None
    if "requestBody" in found:
        asked = _followed(document, found["requestBody"])
        kinds = _mapping(asked.get("content"))
        kind = next((kind for kind in kinds if "json" in kind), next(iter(kinds), "application/json"))
        body = Body("body", bool(asked.get("required")), kind, _mapping(_mapping(kinds.get(kind)).get("schema")))
    servers = found.get("servers") or item.get("servers") or document.get("servers") or [{"url": "/"}]
    server = _mapping(servers[0])
    url = str(server.get("url", "/"))
    for name, variable in _mapping(server.get("variables")).items():
        url = url.replace(f"{{{name}}}", str(_mapping(variable).get("default", "")))
    schemes = _mapping(_mapping(document.get("components")).get("securitySchemes"))
    return _made(document, method, urljoin(address, url), path, [*parameters, *_keys(schemes, given)], body)


def _made(
    document: Mapping[str, Any], method: str, base: str, path: str, parameters: list[Parameter], body: Body | None
) -> Operation:
    return Operation(method.upper(), base.rstrip("/"), path, tuple(parameters), body, document)


def _keys(schemes: Mapping[str, Any], given: dict[Any, Any]) -> list[Parameter]:
    """API keys, which a call gives like parameters."""
    return [
        Parameter(scheme["name"], scheme["in"], required=False, schema={"type": "string"})
        for scheme in map(_mapping, schemes.values())
        if scheme.get("type") == "apiKey" and (scheme["name"], scheme["in"]) not in given
    ]


def _followed(document: Mapping[str, Any], value: Any) -> Any:
    for _ in range(_MOST_REFERENCES):
        if not isinstance(value, dict):
            break
        if "$ref" not in value:
            return value
        reference = str(value["$ref"])
        if not reference.startswith("#/"):
            raise InvalidArgument(f"the document refers to {reference}: only references inside of it are followed")
        target: Any = document
        for key in reference[2:].split("/"):
            target = _mapping(target).get(key.replace("~1", "/").replace("~0", "~"))
        value = target
    raise InvalidArgument("the document has a reference that leads nowhere")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
