"""What an operator says of a tenant's directory."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from factotum.connectors.directory.names import ATTRIBUTE, Name, parsed
from factotum.sdk.errors import ToolError


def _name(text: str) -> str:
    try:
        parsed(text)
    except ToolError as error:
        raise ValueError(error.message) from error
    return text


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("ldap", "ldaps") or not parts.hostname or parts.path not in ("", "/") or parts.username:
        raise ValueError("give ldap://host or ldaps://host, with a port if it is another than usual")
    return text


DistinguishedName = Annotated[str, Field(max_length=1024), AfterValidator(_name)]


class DirectorySettings(BaseModel):
    """One directory, and the subtree that the tenant is held to.

    Attributes:
        url: `ldaps://` is TLS from the start; `ldap://` becomes TLS by StartTLS before anything is said.
        start_tls: False leaves `ldap://` readable for all on the way: for a server on this machine.
        ca: file of the certificates that the server's is verified by; the system's where absent.
        bind_dn, password: who asks; nobody where absent. What it may do is the directory's to say.
        base: no entry outside of it is read, changed or named.
        member: the attribute of a group that holds the DNs of its members.
        max_entries: of one answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Annotated[str, AfterValidator(_url)]
    base: Annotated[DistinguishedName, Field(min_length=1)]
    start_tls: bool = True
    ca: str | None = None
    bind_dn: DistinguishedName | None = None
    password: str | None = Field(default=None, description="Reference of the secret, e.g. secret://directory.")
    member: str = Field(default="member", pattern=f"^{ATTRIBUTE}$", examples=["member", "uniqueMember"])
    seconds: int = Field(default=15, gt=0, le=120)
    max_entries: int = Field(default=1000, gt=0, le=10_000)

    @model_validator(mode="after")
    def _who_binds_has_a_password(self) -> DirectorySettings:
        if (self.bind_dn is None) != (self.password is None):
            raise ValueError("give bind_dn and password, or neither")
        return self

    @property
    def subtree(self) -> Name:
        return parsed(self.base)

    @property
    def address(self) -> tuple[str, int, bool]:
        """Host, port, and whether it is TLS from the start."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "ldaps"
        return parts.hostname or "", parts.port or (636 if secure else 389), secure
