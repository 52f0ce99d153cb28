"""The values of a call checked against an operation, and written as its request. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from jsonschema import Draft4Validator, Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from factotum.connectors.protocols import exchange
from factotum.connectors.protocols.bounded_schema import BOUND
from factotum.connectors.protocols.exchange import FORM, Sending
from factotum.connectors.protocols.openapi_document import Operation, Parameter
from factotum.sdk.errors import InvalidArgument

_MOST_FAULTS = 5


def _nullable_type(validator: Any, types: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if instance is None and (schema.get("nullable") or schema.get("x-nullable")):
        return
    yield from Draft4Validator.VALIDATORS["type"](validator, types, instance, schema)


# OpenAPI 3.0 and Swagger 2.0 extend JSON Schema draft 4 (a draft 5 of the same vocabulary) by `nullable`.
_Draft4 = extend(Draft4Validator, {"type": _nullable_type})  # type: ignore[no-untyped-call]


@dataclass(slots=True)
class _Split:
    """The values by parameter, and what is left: the body's."""

    values: list[tuple[Parameter, Any]]
    body: Any = None
    has_body: bool = False


def sending(operation: Operation, values: Mapping[str, Any]) -> Sending:
    """The request. Raises `InvalidArgument` naming every parameter that is missing, unknown or of another type,
    never its value."""
    split = _split(operation, values)
    _check(operation, split)
    return written(operation, split.values, split.body, has_body=split.has_body)


def written(
    operation: Operation, values: Iterable[tuple[Parameter, Any]], body: Any = None, *, has_body: bool
) -> Sending:
    """The request with these values, which are taken for valid. Raises `InvalidArgument` for what cannot be written
    into an address or a header."""
    path, query, cookies = operation.path, [], []
    headers: dict[str, Any] = {"Accept": "application/json, */*;q=0.8"}
    fields: list[tuple[str, str]] = []
    for parameter, value in values:
        match parameter.where:
            case "path":
                path = path.replace(f"{{{parameter.name}}}", _segment(parameter, value))
            case "query":
                query.extend(_pairs(parameter, value))
            case "header":
                headers[parameter.name] = _joined(parameter, value)
            case "cookie":
                cookies.append(f"{parameter.name}={_joined(parameter, value)}")
            case _:
                fields.extend(_pairs(parameter, value))
    if cookies:
        headers["Cookie"] = "; ".join(cookies)
    content, sent = None, exchange.checked_headers(headers)
    if has_body and operation.body is not None:
        content, sent = exchange.body(body, [*sent, ("Content-Type", operation.body.content_type)])
    elif fields:
        content, sent = exchange.form(fields), [*sent, ("Content-Type", FORM)]
    url = exchange.address(operation.base + path)
    return Sending(operation.method, url.copy_with(params=[*url.params.multi_items(), *query]), sent, content)


def _segment(parameter: Parameter, value: Any) -> str:
    text = _joined(parameter, value)
    if text in ("", ".", ".."):
        # Such a part is another path's address.
        raise InvalidArgument(f"parameters: {parameter.name} is {text!r}, which cannot be a part of an address")
    return quote(text, safe="")


def _split(operation: Operation, values: Mapping[str, Any]) -> _Split:
    left = dict(values)
    split = _Split([])
    faults = []
    for parameter in operation.parameters:
        if parameter.name in values:
            split.values.append((parameter, _as_declared(parameter, values[parameter.name])))
            left.pop(parameter.name, None)
        elif parameter.required or parameter.where == "path":
            faults.append(f"{parameter.name!r} is missing ({parameter.where})")
    body = operation.body
    if body is not None and body.name in left:
        split.body, split.has_body = left.pop(body.name), True
    elif body is not None and left:
        split.body, split.has_body, left = left, True, {}
    elif body is not None and body.required:
        faults.append(f"{body.name!r} is missing (the body)")
    faults.extend(f"{name!r} is unknown" for name in left)
    if faults:
        known = ", ".join([one.name for one in operation.parameters] + ([body.name] if body else []))
        raise InvalidArgument(f"parameters: {'; '.join(faults)}. The operation takes {known or 'none'}")
    return split


def _as_declared(parameter: Parameter, value: Any) -> Any:
    """A value as its schema has it where the request would be the same: it is written as text anyway."""
    kind = parameter.schema.get("type")
    if kind == "array" and not isinstance(value, list | None):
        return [value]
    if kind in ("integer", "number", "boolean") and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if kind == "string" and isinstance(value, int | float) and "enum" not in parameter.schema:
        return exchange.text(value)
    return value


def _check(operation: Operation, split: _Split) -> None:
    faults: list[str] = []
    for parameter, value in split.values:
        if value is None and not parameter.required:
            continue
        faults.extend(_faults(operation, parameter.name, parameter.schema, value))
    if split.has_body and operation.body is not None:
        faults.extend(_faults(operation, operation.body.name, operation.body.schema, split.body))
    if faults:
        raise InvalidArgument(f"parameters: {'; '.join(faults[:_MOST_FAULTS])}")


def _faults(operation: Operation, name: str, schema: Mapping[str, Any], value: Any) -> Iterator[str]:
    # References in the schema are of the document.
    roots = {key: operation.document[key] for key in ("components", "definitions") if key in operation.document}
    whole = {**roots, "allOf": [dict(schema)]}
    modern = str(operation.document.get("openapi", "")).startswith("3.1")
    validator: Validator = Draft202012Validator(whole) if modern else _Draft4(whole)
    try:
        for error in validator.iter_errors(value):
            place = "".join(f"/{part}" for part in error.absolute_path)
            yield f"{name}{place} {said(error)}"
    # A schema that is none, or a reference out of the document: jsonschema raises what its parts raise.
    except Exception as error:
        raise InvalidArgument(f"the document's schema of {name!r} cannot be used: {type(error).__name__}") from None


def said(error: ValidationError) -> str:
    """What is wrong, without the value, which may be confidential."""
    asked, given = cast("Any", error.validator_value), cast("Any", error.instance)
    if error.validator == BOUND:
        return str(asked)
    if error.validator == "required":
        return f"lacks {', '.join(repr(key) for key in asked if key not in given)}"
    return f"is not as `{error.validator}: {json.dumps(asked, ensure_ascii=False, default=str)[:200]}` asks for"


def _joined(parameter: Parameter, value: Any) -> str:
    if parameter.as_json:
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return parameter.separator.join(exchange.text(one) for one in value)
    if isinstance(value, dict):
        if parameter.explode:
            return parameter.separator.join(f"{key}={exchange.text(one)}" for key, one in value.items())
        return parameter.separator.join(part for key, one in value.items() for part in (key, exchange.text(one)))
    return "" if value is None else exchange.text(value)


def _pairs(parameter: Parameter, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if parameter.deep and isinstance(value, dict):
        return [(f"{parameter.name}[{key}]", exchange.text(one)) for key, one in value.items()]
    if parameter.explode and not parameter.as_json:
        return exchange.pairs(value if isinstance(value, dict) else {parameter.name: value})
    return [(parameter.name, _joined(parameter, value))]
