"""What the pet store says of itself: the same operations as Swagger 2.0 and as OpenAPI 3.0."""

from __future__ import annotations

from typing import Any

_PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "name": {"type": "string"},
        "status": {"type": "string", "enum": ["available", "pending", "sold"]},
    },
}
_STATUS_ENUM = ["available", "pending", "sold"]
_ANSWERS = {"200": {"description": "done"}, "404": {"description": "no such pet"}}


def swagger_2(host: str) -> dict[str, Any]:
    """The Swagger 2.0 document; `host` has the port."""
    pet_id = {"name": "petId", "in": "path", "required": True, "type": "integer", "format": "int64"}
    body = {"name": "body", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
    statuses = {
        "name": "status",
        "in": "query",
        "required": True,
        "type": "array",
        "items": {"type": "string", "enum": _STATUS_ENUM},
        "collectionFormat": "multi",
    }
    tags = {"name": "tags", "in": "query", "type": "array", "items": {"type": "string"}}
    return {
        "swagger": "2.0",
        "info": {"title": "Pet store", "version": "1.0.0"},
        "host": host,
        "basePath": "/v2",
        "schemes": ["https", "http"],
        "paths": {
            "/pet": {"post": {"operationId": "addPet", "parameters": [body], "responses": _ANSWERS}},
            "/pet/findByStatus": {
                "get": {"operationId": "findPetsByStatus", "parameters": [statuses, tags], "responses": _ANSWERS}
            },
            "/pet/{petId}": {
                "parameters": [pet_id],
                "get": {"operationId": "getPetById", "responses": _ANSWERS},
                "delete": {
                    "operationId": "deletePet",
                    "parameters": [{"name": "api_key", "in": "header", "type": "string"}],
                    "responses": _ANSWERS,
                },
                "post": {
                    "operationId": "updatePetWithForm",
                    "consumes": ["application/x-www-form-urlencoded"],
                    "parameters": [
                        {"name": "name", "in": "formData", "type": "string"},
                        {"name": "status", "in": "formData", "type": "string", "enum": _STATUS_ENUM},
                    ],
                    "responses": _ANSWERS,
                },
            },
        },
        "definitions": {"Pet": _PET},
    }


def openapi_3() -> dict[str, Any]:
    """The OpenAPI 3.0 document; its server is a relative reference with a variable."""
    pet_id = {"name": "petId", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}}
    body = {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}
    statuses = {
        "name": "status",
        "in": "query",
        "required": True,
        "schema": {"type": "array", "items": {"type": "string", "enum": _STATUS_ENUM}},
    }
    return {
        "openapi": "3.0.4",
        "info": {"title": "Pet store", "version": "1.0.0"},
        "servers": [{"url": "/{version}", "variables": {"version": {"default": "v2"}}}],
        "paths": {
            "/pet": {"post": {"operationId": "addPet", "requestBody": body, "responses": _ANSWERS}},
            "/pet/findByStatus": {
                "get": {"operationId": "findPetsByStatus", "parameters": [statuses], "responses": _ANSWERS}
            },
            "/pet/{petId}": {
                "parameters": [{"$ref": "#/components/parameters/PetId"}],
                "get": {"operationId": "getPetById", "responses": _ANSWERS},
                "delete": {
                    "operationId": "deletePet",
                    "parameters": [{"name": "api_key", "in": "header", "schema": {"type": "string"}}],
                    "responses": _ANSWERS,
                },
            },
            "/echo": {
                "get": {
                    "operationId": "echo",
                    "parameters": [
                        {"name": "ids", "in": "query", "explode": False, "schema": {"type": "array"}},
                        {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                        {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                        {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    ],
                    "servers": [{"url": "/"}],
                    "responses": _ANSWERS,
                }
            },
        },
        "components": {"schemas": {"Pet": _PET}, "parameters": {"PetId": pet_id}},
    }
