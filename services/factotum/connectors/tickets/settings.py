"""How a tenant's Jira is reached, and which of its projects."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from factotum.connectors.protocols.egress import origin
from factotum.connectors.protocols.openapi_security import Credential

_REFERENCE = r"^$|^secret://.+"


class TicketsSettings(BaseModel):
    """`base_url` is https://<site>.atlassian.net with `email` and `token`, an API token of that account, or
    https://api.atlassian.com/ex/jira/<cloud id> with `client_id` and `client_secret` of a service account."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str
    email: str = Field(default="", description="Of the account that acts; or secret://….")
    token: str = Field(default="", pattern=_REFERENCE, description="secret://… of its API token.")
    client_id: str = Field(default="", description="As it is, or secret://….")
    client_secret: str = Field(default="", pattern=_REFERENCE)
    token_url: str = "https://auth.atlassian.com/oauth/token"  # noqa: S105 - an address
    projects: frozenset[str] | None = Field(default=None, description="Keys of those that may be used; all if unset.")
    index_seconds: float = Field(
        default=300.0,
        ge=0,
        le=600,
        description="After which an issue that was created is certain to be found: Jira's search lags behind, by "
        "seconds to minutes.",
    )
    timeout: float = Field(default=20.0, gt=0, description="Seconds, of one request.")
    max_bytes: int = Field(default=8 * 1024 * 1024, gt=0, description="Of one answer.")

    @field_validator("base_url", "token_url")
    @classmethod
    def _address(cls, value: str) -> str:
        origin(value)
        return value.rstrip("/")

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        basic, oauth = bool(self.email and self.token), bool(self.client_id and self.client_secret)
        if basic is oauth:
            raise ValueError("give email and token, or client_id and client_secret")
        return self

    @property
    def credentials(self) -> dict[str, Credential]:
        """By the names that the schemes have in the document."""
        if self.email:
            return {"basic": Credential(username=self.email, password=self.token)}
        return {
            "oauth": Credential(
                client_id=self.client_id,
                client_secret=self.client_secret,
                client_authentication="client_secret_post",
                token_url=self.token_url,
            )
        }

    @property
    def origins(self) -> list[str]:
        """What a call reaches."""
        return [origin(self.base_url), *([origin(self.token_url)] if self.client_id else [])]
