"""The tenants of the sandbox and their credentials: the file that README.md describes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, ValidationError, model_validator

TenantName = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=63)]
# RFC 7617 §2: what comes before the first colon is the user name, and HR's key is one.
Credential = Annotated[str, Field(pattern=r"^[\x21-\x7e]+$")]
ApiKey = Annotated[str, Field(pattern=r"^[\x21-\x39\x3b-\x7e]+$")]


class TenantsInvalid(ValueError):
    """The tenants file cannot be used. The message names it and says why."""


class Webhook(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="default", min_length=1)
    url: AnyHttpUrl
    secret: str = Field(min_length=1)


class Tenant(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    identity_token: Credential
    hr_api_key: ApiKey
    calendar_password: Credential
    mail_archive_token: Credential
    webhooks: list[Webhook] = []

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [webhook.name for webhook in self.webhooks]
        if len(set(names)) < len(names):
            raise ValueError("webhooks of one tenant need different names")
        return self


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tenants: dict[TenantName, Tenant] = Field(min_length=1)


def load(path: Path) -> dict[str, Tenant]:
    """The tenants by name. Raises `TenantsInvalid`."""
    try:
        return dict(_File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).tenants)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TenantsInvalid(f"{path} cannot be read: {error}") from error
    except ValidationError as error:
        # Without the input: it holds the credentials.
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise TenantsInvalid(f"{path} is not a tenants file: {faults}") from error
