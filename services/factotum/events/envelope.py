"""The one envelope of everything on Kafka: a CloudEvent 1.0 with the extension attribute `tenant`.

Source: CloudEvents 1.0.2, JSON event format (structured content mode). A model of our own rather
than the class of the `cloudevents` package, because that class invents an id and a time where they
are missing, and an invented id would make a redelivered event a new one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

TENANT_PATTERN = r"^[a-z0-9][a-z0-9-]{0,62}$"
CONTENT_TYPE = "application/cloudevents+json"

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}")


class MalformedEvent(ValueError):
    """The bytes are not a CloudEvent 1.0 in JSON; the message says which attribute is wrong."""


class Event(BaseModel):
    """A CloudEvent. `source` and `id` together identify it within a tenant.

    Extension attributes other than `tenant` are kept as they came; see `extensions`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    specversion: Literal["1.0"] = "1.0"
    id: str = Field(min_length=1, max_length=256)
    source: str = Field(min_length=1, max_length=1024)
    type: str = Field(min_length=1, max_length=256)
    tenant: str = Field(pattern=TENANT_PATTERN)
    subject: str | None = Field(default=None, min_length=1, max_length=1024)
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None

    @field_validator("id", "source", "type", "subject")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        # CloudEvents forbids control characters and unpaired surrogates in attribute strings.
        if value is not None and _FORBIDDEN.search(value):
            raise ValueError("must not hold control characters or surrogates")
        return value

    @field_validator("time")
    @classmethod
    def _aware(cls, value: datetime | None) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("must be an RFC 3339 timestamp with an offset")
        return value

    @model_validator(mode="after")
    def _extensions_are_scalars(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if not _EXTENSION_NAME.fullmatch(name):
                raise ValueError(f"extension attribute {name!r} must be 1 to 20 lower-case letters or digits")
            if not isinstance(value, str | int | bool):
                raise ValueError(f"extension attribute {name!r} must be a string, an integer or a boolean")
        return self

    @property
    def extensions(self) -> dict[str, str | int | bool]:
        """The extension attributes other than `tenant`."""
        return dict(self.model_extra or {})

    def to_bytes(self) -> bytes:
        """The structured JSON form. Raises `MalformedEvent` if the data is not JSON."""
        try:
            return self.model_dump_json(exclude_none=True).encode()
        except ValueError as error:  # PydanticSerializationError: lone surrogates, foreign objects
            raise MalformedEvent(f"data cannot be written as JSON: {error}") from error

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Reads the structured JSON form. Raises `MalformedEvent`."""
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            raise MalformedEvent(describe(error)) from error


def describe(error: ValidationError) -> str:
    """The faults of a model in one line, without the input's values: those may be personal data."""
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or 'event'}: {fault['msg']}" for fault in error.errors())


def utc(moment: datetime) -> datetime:
    """The same moment in UTC; a naive one is refused, since its meaning would be a guess."""
    if moment.tzinfo is None:
        raise ValueError("a time without an offset")
    return moment.astimezone(UTC)
