"""A pydantic model made of a JSON Schema, for tools that have no model of their own.

Such a model takes and gives the JSON value unchanged; what it accepts is what jsonschema accepts.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from jsonschema.exceptions import ValidationError as Fault
from jsonschema.protocols import Validator
from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError, from_json

from factotum.connectors.protocols import bounded_schema

_MOST_FAULTS = 20


class SchemaModel(RootModel[Any]):
    """Base of the models that `schema_model` makes."""

    schema_text: ClassVar[dict[str, Any]]
    validator: ClassVar[Validator]

    @classmethod
    def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
        return cls.schema_text

    @classmethod
    def model_validate(cls, obj: Any, **_: Any) -> Self:
        """Raises pydantic's `ValidationError`, one fault a place. An instance of this very model is taken as it is."""
        if isinstance(obj, cls):
            return obj
        if isinstance(obj, SchemaModel):
            obj = obj.root
        value = obj.model_dump(mode="json", by_alias=True) if isinstance(obj, BaseModel) else obj
        faults = [
            InitErrorDetails(
                # The message of jsonschema repeats the value, which may be a secret or personal data.
                type=PydanticCustomError("json_schema", "{what}", {"what": _what(fault)}),
                loc=tuple(fault.absolute_path),
                input=None,
            )
            for fault in bounded_schema.faults(cls.validator, value, _MOST_FAULTS)
        ]
        if faults:
            raise ValidationError.from_exception_data(cls.__name__, faults)
        return cls(value)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **_: Any) -> Self:
        try:
            value = from_json(json_data)
        except ValueError as error:
            fault = PydanticCustomError("json_invalid", "Invalid JSON: {error}", {"error": str(error)})
            raise ValidationError.from_exception_data(
                cls.__name__, [InitErrorDetails(type=fault, input=None)]
            ) from None
        return cls.model_validate(value)


def schema_model(name: str, schema: dict[str, Any], *, checked: bool = False) -> type[SchemaModel]:
    """The model of a JSON Schema 2020-12. Raises `ValueError` if it is none, or none that values can be held against
    in bounded time; of one that was `checked` that is known, which spares the tenth of a second that a large schema
    takes."""
    if not checked:
        _check(schema)
    validator = bounded_schema.validator(schema)
    return type(name, (SchemaModel,), {"schema_text": schema, "validator": validator, "__doc__": None})


def _check(schema: dict[str, Any]) -> None:
    try:
        Draft202012Validator.check_schema(schema)
        bounded_schema.check(schema)
    except SchemaError as error:
        raise ValueError(f"no JSON Schema at {error.json_path}: {error.message[:500]}") from error
    except RecursionError:
        raise ValueError("no JSON Schema that can be used: it is nested too deep") from None
    except bounded_schema.SchemaUnbounded as error:
        raise ValueError(f"no JSON Schema that can be used: {error}") from error


def _what(fault: Fault) -> str:
    keyword, expected = fault.validator, cast(Any, fault.validator_value)
    match keyword:
        case "required":
            return f"needs {', '.join(map(str, expected))}"
        case "additionalProperties":
            return "has a field that is not known"
        case "type":
            return f"must be {expected if isinstance(expected, str) else ' or '.join(expected)}"
        case bounded_schema.BOUND:
            return str(expected)
        case "enum":
            return f"must be one of {', '.join(map(repr, expected))}"
        case _:
            return f"does not meet {keyword}: {str(expected)[:200]}"
