"""What an OpenAPI document (Swagger 2.0, OpenAPI 3.0 and 3.1) says of one operation. Pure.

Only references inside the document are followed. A parameter of OpenAPI 3 and one of Swagger 2.0 become the same
`Parameter`: how a value is written follows from its style, its separator and whether it is exploded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from factotum.sdk.errors import InvalidArgument

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SEPARATORS = {"csv": ",", "ssv": " ", "tsv": "\t", "pipes": "|", "multi": ","}
_STYLES = {"form": ",", "simple": ",", "spaceDelimited": " ", "pipeDelimited": "|", "deepObject": ","}
# OpenAPI 3: definitions of these in `parameters` are ignored.
_IGNORED = frozenset({"accept", "content-type", "authorization"})
_MOST_REFERENCES = 32


@dataclass(frozen=True, slots=True)
class Parameter:
    """`where` is path, query, header, cookie or form; `deep` is the style deepObject, `as_json` a JSON text; `key`
    says that it is a scheme's API key, and none of the operation's own parameters."""

    name: str
    where: str
    required: bool
    schema: Mapping[str, Any]
    separator: str = ","
    explode: bool = False
    deep: bool = False
    as_json: bool = False
    key: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """`name` is the parameter that holds it as a whole."""

    name: str
    required: bool
    content_type: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """`base` is the absolute address that `path` is below, `own_base` says that it is not the whole document's;
    `document` is what references in schemas point into."""

    method: str
    base: str
    path: str
    parameters: tuple[Parameter, ...]
    body: Body | None
    document: Mapping[str, Any]
    own_base: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """An operation as it stands in a document: `item` is its path's object, `found` its own."""

    method: str
    path: str
    item: Mapping[str, Any]
    found: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Empty where the document gives none."""
        return str(self.found.get("operationId") or "")

    @property
    def tags(self) -> list[str]:
        return [str(tag) for tag in _list(self.found.get("tags"))]


def operation(document: Mapping[str, Any], operation_id: str, *, address: str) -> Operation:
    """The operation of this id. `address` is where the document was read, which relative servers are below.

    Raises `InvalidArgument` for a document that cannot be used or has no such operation, naming some that it has.
    """
    names = []
    for one in described(document, address=address):
        if one.id == operation_id:
            return read(document, one, address=address)
        names.append(one.id)
    known = ", ".join(sorted(filter(None, names))[:20])
    raise InvalidArgument(f"{address} has no operation {operation_id!r}; it has {known or 'none with an id'}")


def described(document: Mapping[str, Any], *, address: str) -> Iterator[Described]:
    """All operations, in the document's order. Raises `InvalidArgument` for a document that cannot be used."""
    if not _is_swagger(document) and not str(document.get("openapi", "")).startswith("3."):
        raise InvalidArgument(f"{address} is no OpenAPI 3 or Swagger 2.0 document")
    for path, given in _mapping(document.get("paths")).items():
        item = followed(document, given)
        for method in _METHODS:
            if isinstance(item.get(method), dict):
                yield Described(method.upper(), path, item, item[method])


def read(
    document: Mapping[str, Any], one: Described, *, address: str, variables: Mapping[str, str] = MappingProxyType({})
) -> Operation:
    """What a request of the operation is made of; `variables` are those of the server's address that are not to have
    their defaults. Raises `InvalidArgument`."""
    given = [*_list(one.item.get("parameters")), *_list(one.found.get("parameters"))]
    # What an operation says of a parameter takes the place of what its path says.
    merged = {(each["name"], each["in"]): each for each in (followed(document, each) for each in given)}
    if _is_swagger(document):
        return _swagger(document, one, merged, address=address)
    return _openapi(document, one, merged, address=address, variables=variables)


def _is_swagger(document: Mapping[str, Any]) -> bool:
    return str(document.get("swagger", "")) == "2.0"


def _swagger(document: Mapping[str, Any], one: Described, given: dict[Any, Any], *, address: str) -> Operation:
    found = one.found
    consumes = _list(found.get("consumes", document.get("consumes"))) or ["application/json"]
    parameters, body = [], None
    for each in given.values():
        if each["in"] == "body":
            kind = next((kind for kind in consumes if "json" in kind), consumes[0])
            body = Body(each["name"], bool(each.get("required")), kind, _mapping(each.get("schema")))
            continue
        collection = each.get("collectionFormat", "csv")
        parameters.append(
            Parameter(
                name=each["name"],
                where="form" if each["in"] == "formData" else each["in"],
                required=bool(each.get("required")),
                schema={key: value for key, value in each.items() if key not in ("required", "name", "in")},
                separator=_SEPARATORS.get(collection, ","),
                explode=collection == "multi",
            )
        )
    parts = urlsplit(address)
    schemes = _list(found.get("schemes", document.get("schemes"))) or [parts.scheme]
    scheme = parts.scheme if parts.scheme in schemes else "https" if "https" in schemes else schemes[0]
    base = f"{scheme}://{document.get('host') or parts.netloc}{document.get('basePath') or ''}"
    schemes_of_keys = _mapping(document.get("securityDefinitions"))
    return Operation(
        one.method,
        base.rstrip("/"),
        one.path,
        (*parameters, *_keys(schemes_of_keys, given)),
        body,
        document,
    )


def _openapi(
    document: Mapping[str, Any], one: Described, given: dict[Any, Any], *, address: str, variables: Mapping[str, str]
) -> Operation:
    parameters, found = [], one.found
    for each in given.values():
        if each["in"] == "header" and each["name"].lower() in _IGNORED:
            continue
        style = each.get("style", "form" if each["in"] in ("query", "cookie") else "simple")
        if style not in _STYLES:
            raise InvalidArgument(f"the parameter {each['name']!r} is of the style {style}, which is not supported")
        content = _mapping(each.get("content"))
        schema = _mapping(next(iter(content.values()), {})).get("schema") if content else each.get("schema")
        parameters.append(
            Parameter(
                name=each["name"],
                where=each["in"],
                required=bool(each.get("required")),
                schema=_mapping(schema),
                separator=_STYLES[style],
                explode=bool(each.get("explode", style == "form")),
                deep=style == "deepObject",
                as_json=bool(content),
                description=str(each.get("description") or ""),
            )
        )
    body = None
    if "requestBody" in found:
        asked = followed(document, found["requestBody"])
        kinds = _mapping(asked.get("content"))
        kind = next((kind for kind in kinds if "json" in kind), next(iter(kinds), "application/json"))
        body = Body("body", bool(asked.get("required")), kind, _mapping(_mapping(kinds.get(kind)).get("schema")))
    own = found.get("servers") or one.item.get("servers")
    server = _mapping((own or document.get("servers") or [{"url": "/"}])[0])
    schemes = _mapping(_mapping(document.get("components")).get("securitySchemes"))
    return Operation(
        one.method,
        urljoin(address, _server(server, variables)).rstrip("/"),
        one.path,
        (*parameters, *_keys(schemes, given)),
        body,
        document,
        own_base=bool(own),
    )


def _server(server: Mapping[str, Any], values: Mapping[str, str]) -> str:
    url = str(server.get("url", "/"))
    for name, given in _mapping(server.get("variables")).items():
        variable = _mapping(given)
        value = str(values.get(name, variable.get("default", "")))
        allowed = [str(one) for one in _list(variable.get("enum"))]
        if name in values and allowed and value not in allowed:
            raise InvalidArgument(f"the server's variable {name} is one of {', '.join(allowed)}")
        url = url.replace(f"{{{name}}}", value)
    return url


def _keys(schemes: Mapping[str, Any], given: dict[Any, Any]) -> list[Parameter]:
    """API keys, which a call gives like parameters."""
    return [
        Parameter(scheme["name"], scheme["in"], required=False, schema={"type": "string"}, key=True)
        for scheme in map(_mapping, schemes.values())
        if scheme.get("type") == "apiKey" and (scheme["name"], scheme["in"]) not in given
    ]


def followed(document: Mapping[str, Any], value: Any) -> Any:
    """What a reference object stands for; anything else is itself. Raises `InvalidArgument`."""
    for _ in range(_MOST_REFERENCES):
        if not isinstance(value, dict):
            break
        if "$ref" not in value:
            return value
        value = target(document, str(value["$ref"]))
    raise InvalidArgument("the document has a reference that leads nowhere")


def target(document: Mapping[str, Any], reference: str) -> Any:
    """What stands where a reference points; None for nothing. Raises `InvalidArgument` if that is outside."""
    if not reference.startswith("#/"):
        raise InvalidArgument(f"the document refers to {reference}: only references inside of it are followed")
    value: Any = document
    for part in reference[2:].split("/"):
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = _mapping(value).get(key)
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
