"""Which operations of an API are taken, how it is reached, and on what terms each is called.

Nothing is taken that is not named. What a document says of an operation's effect is nothing: the terms are those of
its HTTP method, or the operator's word.
"""

from __future__ import annotations

from typing import Any, Self

import httpx2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from factotum.connectors.protocols.egress import EgressSettings, origin
from factotum.connectors.protocols.openapi_paging import Paging
from factotum.connectors.protocols.openapi_security import Credential
from factotum.sdk.spec import Compensation, Effect, Idempotency, RateLimit


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Lookup(Part):
    """Asking whether an effect happened, by a read of the same API.

    Texts may hold `{$key}`, the key of the effect, `{$since}`, when it was first begun, and `{owner}` or
    `{body.title}`, places of the call's arguments; one that is nothing but a place is its value.

    Of what the read answers at `items`, a list or one object, that is the effect which has at each place of `match`
    this value, or a list with it, and at each of `contains` a text with this inside. It is then the output's body.
    """

    operation: str = Field(description="operationId or `GET /path`.")
    arguments: dict[str, Any] = {}
    items: str = Field(default="", description="A place in the answer's body; empty: the body itself.")
    match: dict[str, str] = {}
    contains: dict[str, str] = {}
    created: str = Field(default="", description="Where an item says when it was made (RFC 3339): not before the call.")
    lag_seconds: float = Field(
        default=0.0,
        ge=0,
        le=900,
        description="How long the read may lag behind: for so long it is asked again before the effect is not there.",
    )

    @model_validator(mode="after")
    def _tells_apart(self) -> Self:
        asked = [*self.match.values(), *self.contains.values(), *_texts(self.arguments)]
        if not self.created and not any("{$key}" in text for text in asked):
            raise ValueError("what it finds may be another's: ask for {$key}, or say where an item's time is (created)")
        if not self.match and not self.contains:
            raise ValueError("say by match or contains which item it is")
        return self


class Terms(Part):
    """What one operation does, and how its effect happens once.

    Attributes:
        key_header, key_argument: where the system takes the effect's key, by which it knows a repetition: then the
            idempotency is native.
        mark: what is put into the arguments so that `reconcile` finds it: by place a text, or a list of texts that
            are added to the list there.
        absent_is_done: of a delete: that there is nothing to delete is success.
    """

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    description: str | None = None
    effect: Effect | None = None
    idempotency: Idempotency | None = None
    key_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    key_argument: str | None = None
    reconcile: Lookup | None = None
    mark: dict[str, str | list[str]] = {}
    compensation: Compensation | None = None
    permissions: tuple[str, ...] | None = None
    timeout_seconds: float | None = Field(default=None, gt=0, le=3600)
    rate_limit: RateLimit | None = None
    concurrency: int | None = Field(default=None, gt=0)
    paging: Paging | None = None
    lenient: bool | None = None
    absent_is_done: bool = False

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        keyed = self.key_header is not None or self.key_argument is not None
        if keyed and self.reconcile is not None:
            raise ValueError("a system that takes the key need not be asked: give a key or reconcile")
        if keyed and self.idempotency not in (None, Idempotency.NATIVE):
            raise ValueError("key_header and key_argument make the idempotency native")
        if (self.idempotency is Idempotency.RECONCILE) and self.reconcile is None:
            raise ValueError("idempotency: reconcile needs reconcile")
        if self.reconcile is not None and self.idempotency not in (None, Idempotency.RECONCILE):
            raise ValueError("reconcile makes the idempotency reconcile")
        if self.mark and self.reconcile is None:
            raise ValueError("a mark is for reconcile to find")
        return self


class ApiSettings(EgressSettings):
    """What each call is given. `auth` is by the document's names of its schemes; texts may be secret:// references."""

    auth: dict[str, Credential] = Field(default={})
    headers: dict[str, str] = Field(default={}, description="Sent with each call; a value may be secret://name.")


class OpenapiConfig(ApiSettings):
    """A source of the kind openapi.

    The origins of `document` and `base_url` may be reached; `allow` is for others: the document's own servers, where
    no base_url takes their place, and token endpoints.
    """

    document: str = Field(default="", description="Address of the document, unless it is given itself.")
    document_max_bytes: int = Field(default=64 * 1024 * 1024, gt=0)
    base_url: str = Field(default="", description="In place of the document's servers.")
    server_variables: dict[str, str] = Field(default={}, description="Of the document's server address.")
    operations: list[str] = Field(
        default=[],
        description="Those taken: patterns of operationIds (`issues/*`), of tags (`tag:issues`) and of methods and "
        "paths (`GET /repos/**`); * stands for anything but /, ** for anything.",
    )
    without: list[str] = Field(default=[], description="Of those, the ones that are not taken; the same patterns.")
    terms: dict[str, Terms] = Field(default={}, description="By pattern. Of several that fit, each adds to the last.")
    paging: dict[str, Paging] = Field(default={}, description="By pattern; the last that fits.")
    lenient: bool = Field(default=False, description="Take answers that are not as the document describes them.")
    redirects: bool = Field(default=False, description="Follow redirections of reads, to allowed origins.")
    timeout_seconds: float = Field(default=60.0, gt=0, le=3600, description="That a call may take.")

    @model_validator(mode="after")
    def _addresses(self) -> Self:
        for name in ("document", "base_url"):
            if text := getattr(self, name):
                origin(text)
                if httpx2.URL(text).userinfo:
                    raise ValueError(f"{name} holds credentials: give them under auth")
        return self

    def call_settings(self) -> ApiSettings:
        allow = [*self.allow, *([origin(self.base_url)] if self.base_url else [])]
        return ApiSettings(
            allow=allow, timeout=self.timeout, max_bytes=self.max_bytes, auth=self.auth, headers=self.headers
        )


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [value] if isinstance(value, str) else []
