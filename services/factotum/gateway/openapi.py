"""What FastAPI cannot derive of the OpenAPI description: raw bodies, and problems instead of its own errors."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from factotum.events.envelope import CONTENT_TYPE
from factotum.gateway.normalise.cloudevents import BATCH_CONTENT_TYPE
from factotum.gateway.problems import Problem

_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1, "maxLength": 256},
        "source": {"type": "string", "minLength": 1, "maxLength": 1024},
        "type": {"type": "string", "minLength": 1, "maxLength": 256},
        "subject": {"type": "string", "minLength": 1, "maxLength": 1024},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"type": "string"},
        "dataschema": {"type": "string"},
        "tenant": {"type": "string", "description": "if given, the token's tenant"},
        "data": {},
    },
}

WEBHOOK_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}
CLOUDEVENTS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            CONTENT_TYPE: {"schema": _EVENT},
            BATCH_CONTENT_TYPE: {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {"schema": {"description": "binary mode: the data; attributes in ce- headers"}},
        },
    }
}


def install(app: FastAPI) -> None:
    """Replaces the application's description with a complete one, made once, when it is first asked for."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, routes=app.routes, description=app.description)
            )
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]


def _complete(schema: dict[str, Any]) -> dict[str, Any]:
    for path in schema["paths"].values():
        for operation in path.values():
            # Invalid parameters are a 400 here.
            operation["responses"].pop("422", None)
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas["Problem"] = Problem.model_json_schema()
    return schema
