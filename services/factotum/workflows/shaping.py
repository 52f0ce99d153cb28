"""Values that a task is given and gives: schemas, durations, moments, the raw definition."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import ValidationError

from factotum.procedures import schemas
from factotum.procedures.duration import Duration
from factotum.procedures.shapes import Schema
from factotum.workflows import problem
from factotum.workflows.problem import Problem

Json = Any


def validate(schema: Schema, value: Json, pointer: str) -> None:
    """Raises `Problem`."""
    if schema.document is None:
        detail = "the schema lies elsewhere and was not fetched when the run was planned"
        raise Problem(problem.CONFIGURATION, 400, "configuration", detail, pointer)
    validator = Draft202012Validator(schema.document, registry=schemas.NOTHING_REMOTE)
    error = next(validator.iter_errors(value), None)
    if error is not None:
        # The message of jsonschema repeats the value, which may be personal data: say where and what rule.
        at = "/".join(map(str, error.absolute_path)) or "the value"
        detail = f"{at} breaks `{error.validator}: {error.validator_value}`"
        raise Problem(problem.VALIDATION, 400, "validation", detail, pointer)


def seconds(lapse: Json, now: datetime, pointer: str) -> float:
    """The seconds of a duration, or of what an expression gave for one. Raises `Problem`."""
    if isinstance(lapse, Duration):
        return lapse.seconds_from(now)
    try:
        return Duration.model_validate(lapse).seconds_from(now)
    except ValidationError as error:
        detail = f"not a duration: {error.errors()[0]['msg']}"
        raise Problem(problem.EXPRESSION, 400, "expression", detail, pointer) from error


def moment(timestamp: float) -> dict[str, Json]:
    """A POSIX time as the language's date-time descriptor."""
    return {
        "iso8601": datetime.fromtimestamp(timestamp, UTC).isoformat(),
        "epoch": {"seconds": int(timestamp), "milliseconds": int(timestamp * 1000)},
    }


def definition(document: Mapping[str, Json], pointer: str) -> Json:
    """A task as it was written; None if the document is not at hand."""
    found: Json = document
    for token in pointer.split("/")[1:]:
        key = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list) and key.isdigit() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def kind(value: Json) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
