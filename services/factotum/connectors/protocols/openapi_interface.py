"""An operation of an OpenAPI 3 document as a function: one object of arguments in, status and body out. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from jsonschema.protocols import Validator

from factotum.connectors.protocols import bounded_schema, openapi_document, openapi_request
from factotum.connectors.protocols.exchange import Sending, is_json, is_text
from factotum.connectors.protocols.openapi_document import Described, Operation, Parameter
from factotum.connectors.protocols.openapi_schema import Schema, Schemas
from factotum.sdk.errors import InvalidArgument

_MOST_FAULTS = 5
# A request that holds files is not made here: its operations cannot be called.
_PART = re.compile(r"\{([^{}]+)\}")
_BYTES: Schema = {"type": "string", "contentEncoding": "base64"}
_SENT = "application/json, application/x-www-form-urlencoded, a text or bytes"


class Shape:
    """What a value must be. `definitions`, its `$defs`, are gathered when a value is first looked at."""

    def __init__(self, schema: Schema | bool, definitions: Callable[[], Schema] | None = None) -> None:
        self._schema = schema
        self._definitions = definitions
        self._validator: Validator | None = None

    def faults(self, value: Any) -> list[str]:
        """The places that are not as described, without their values."""
        if self._validator is None:
            whole = (
                self._schema if self._definitions is None else {"$defs": self._definitions(), "allOf": [self._schema]}
            )
            self._validator = bounded_schema.validator(whole)
        return [
            "".join(f"/{part}" for part in error.absolute_path) + f" {openapi_request.said(error)}"
            for error in bounded_schema.faults(self._validator, value, _MOST_FAULTS)
        ]


@dataclass(frozen=True, slots=True)
class Interface:
    """An operation that can be called.

    Attributes:
        parameters: the operation's parameters by the names that they have in the arguments.
        body: the name that the body has there; None where there is none.
        arguments: what `input_schema` asks for.
        answers: what each described success holds, by status (`200`, `2XX`, `default`) and content type; no content
            types: nothing is said of it; no statuses: nothing is said of any.
        security: alternatives of schemes with their scopes; None where the document says nothing.
    """

    name: str
    operation: Operation
    parameters: Mapping[str, Parameter]
    body: str | None
    input_schema: Schema
    output_schema: Schema
    arguments: Shape
    answers: Mapping[str, Mapping[str, Shape]]
    security: tuple[Mapping[str, tuple[str, ...]], ...] | None

    def sending(self, arguments: Mapping[str, Any]) -> Sending:
        """The request with these arguments, which are valid. Raises `InvalidArgument` for what cannot be written."""
        values = [
            (parameter, arguments[name])
            for name, parameter in self.parameters.items()
            if arguments.get(name) is not None
        ]
        if self.body is None or self.body not in arguments or self.operation.body is None:
            return openapi_request.written(self.operation, values, has_body=False)
        body, kind = arguments[self.body], self.operation.body.content_type
        if not _is_bytes(kind):
            return openapi_request.written(self.operation, values, body, has_body=True)
        made = openapi_request.written(self.operation, values, has_body=False)
        return replace(made, content=_decoded(body), headers=[*made.headers, ("Content-Type", kind)])

    def faults(self, status: int, content_type: str, body: Any, has_body: bool) -> list[str]:
        """In what a success is not as the document describes it."""
        if not self.answers:
            return []
        described = next((self.answers[key] for key in _keys(status) if key in self.answers), None)
        if described is None:
            return [f"the status {status} is not described, {', '.join(self.answers)} is"]
        if not described:
            return []
        if not has_body:
            return ["it has no body"]
        kind = content_type.partition(";")[0].strip().lower()
        shape = described.get(kind) or next((shape for given, shape in described.items() if _takes(given, kind)), None)
        if shape is None:
            return [f"the content type {kind or '(none)'} is not described, {', '.join(described)} is"]
        return shape.faults(body)


class Reader:
    """Makes interfaces of a document's operations.

    Args:
        address: where the document was read, which relative servers are below.
        base: what takes the place of the document's servers; empty to leave them.
        given: names of headers, in lower case, that calls need not give.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        *,
        address: str,
        base: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
        given: Iterable[str] = (),
    ) -> None:
        self._document = document
        self._address = address
        self._base = base.rstrip("/")
        self._variables = variables
        self._given = frozenset(given)
        self._sent = Schemas(document, sent=True)
        self._answered = Schemas(document, sent=False)

    def operations(self) -> Iterator[Described]:
        """All of the document. Raises `InvalidArgument`."""
        return openapi_document.described(self._document, address=self._address)

    def interface(self, one: Described) -> Interface:
        """Raises `InvalidArgument`, `SchemaInvalid` for what cannot be called."""
        read = openapi_document.read(self._document, one, address=self._address, variables=self._variables)
        base = self._base if self._base and not read.own_base else read.base
        parameters = _named(
            parameter
            for parameter in read.parameters
            if not parameter.key and not (parameter.where == "header" and parameter.name.lower() in self._given)
        )
        body = None if read.body is None else ("request_body" if "body" in parameters else "body")
        answers, output = self._answers(one)
        asked = self._input(read, parameters, body)
        made = Interface(
            name=one.id or f"{one.method} {one.path}",
            # Without the document and its schemas, which would be kept for as long as the interface is.
            operation=replace(
                read,
                base=base,
                document={},
                parameters=(),
                body=None if read.body is None else replace(read.body, schema={}),
            ),
            parameters={name: replace(parameter, schema={}) for name, parameter in parameters.items()},
            body=body,
            input_schema=asked,
            output_schema=output,
            arguments=Shape(asked),
            answers=answers,
            security=_security(one.found.get("security", self._document.get("security"))),
        )
        if read.body is not None and not _writable(read.body.content_type):
            raise InvalidArgument(f"its body is {read.body.content_type}; what can be sent is {_SENT}")
        known = {parameter.name for parameter in parameters.values() if parameter.where == "path"}
        if unknown := [name for name in _PART.findall(one.path) if name not in known]:
            raise InvalidArgument(f"its path has {', '.join(unknown)}, which is no parameter")
        return made

    def _input(self, read: Operation, parameters: Mapping[str, Parameter], body: str | None) -> Schema:
        properties: Schema = {}
        references: set[str] = set()
        required = []
        for name, parameter in parameters.items():
            schema, further = self._sent.checked(parameter.schema)
            if parameter.description and isinstance(schema, dict) and "description" not in schema:
                schema = {**schema, "description": parameter.description}
            properties[name] = schema
            references |= further
            if parameter.required or parameter.where == "path":
                required.append(name)
        if read.body is not None and body is not None:
            schema, further = self._sent.checked(read.body.schema)
            properties[body] = _BYTES if _is_bytes(read.body.content_type) else schema
            references |= further
            if read.body.required:
                required.append(body)
        return _object(properties, required, self._sent.definitions(references))

    def _answers(self, one: Described) -> tuple[dict[str, dict[str, Shape]], Schema]:
        described = one.found.get("responses")
        responses = {str(key).upper(): value for key, value in (described or {}).items()}
        wanted = [key for key in responses if key.startswith("2")] or [key for key in responses if key == "DEFAULT"]
        answers: dict[str, dict[str, Shape]] = {}
        bodies: list[Schema | bool] = []
        references: set[str] = set()
        always = bool(wanted) and one.method != "HEAD"
        for key in wanted:
            content = openapi_document.followed(self._document, responses[key]).get("content") or {}
            if one.method == "HEAD":
                content = {}
            answers[key] = {}
            for kind, media in content.items():
                schema, further = self._answered.checked(_told(kind, media))
                answers[key][kind.lower()] = Shape(schema, partial(self._answered.definitions, further))
                if schema not in bodies:
                    bodies.append(schema)
                references |= further
            always = always and bool(content)
        statuses = [int(key) for key in wanted if key.isdecimal()]
        exact = bool(statuses) and len(statuses) == len(wanted)
        properties: Schema = {"status": {"enum": sorted(statuses)} if exact else {"type": "integer"}}
        if any(_names_location(self._document, responses[key]) for key in wanted):
            properties["location"] = {"type": "string", "description": "Where what was made or begun is to be found."}
        if bodies:
            properties["body"] = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        required = ["status", "body"] if always else ["status"]
        return answers, _object(properties, required, self._answered.definitions(references), closed=False)


def _object(properties: Schema, required: list[str], definitions: Schema, *, closed: bool = True) -> Schema:
    made: Schema = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    if closed:
        made["additionalProperties"] = False
    if definitions:
        made["$defs"] = definitions
    return made


def _named(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """By name; of several of one name, which differ in where they are, by name and place."""
    given = list(parameters)
    names = [parameter.name for parameter in given]
    found: dict[str, Parameter] = {}
    for parameter in given:
        name = parameter.name if names.count(parameter.name) == 1 else f"{parameter.name}_{parameter.where}"
        if name in found:
            raise InvalidArgument(f"it has the parameter {parameter.name!r} ({parameter.where}) twice")
        found[name] = parameter
    return found


def _told(kind: str, media: Any) -> Any:
    """The schema of an answer of this type as `exchange.deserialised` gives it."""
    if is_json(kind) or "*" in kind:
        return (media.get("schema") if isinstance(media, dict) else None) or {}
    return {"type": "string"} if is_text(kind) else _BYTES


def _names_location(document: Mapping[str, Any], response: Any) -> bool:
    headers = openapi_document.followed(document, response).get("headers") or {}
    return any(str(name).lower() == "location" for name in headers)


def _keys(status: int) -> tuple[str, str, str]:
    return str(status), f"{status // 100}XX", "DEFAULT"


def _takes(given: str, kind: str) -> bool:
    """Whether a described content type or range takes this one; parameters of what is described do not count."""
    given = given.partition(";")[0].strip()
    if given in ("*/*", kind):
        return True
    if given.endswith("/*"):
        return kind.startswith(given[:-1])
    # Vendors answer `application/vnd.x+json` where they describe `application/json`, and the other way round.
    return is_json(given) and is_json(kind)


def _writable(kind: str) -> bool:
    return "*" not in kind and not kind.lower().startswith("multipart/")


def _is_bytes(kind: str) -> bool:
    return not (is_json(kind) or is_text(kind))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise InvalidArgument("the body must be the base64 of the bytes to send") from None


def _security(given: Any) -> tuple[Mapping[str, tuple[str, ...]], ...] | None:
    if not isinstance(given, list):
        return None
    return tuple(
        {str(name): tuple(map(str, scopes or ())) for name, scopes in one.items()}
        for one in given
        if isinstance(one, dict)
    )
