"""The file of sources: who may send what, each for one tenant, with secrets by reference.

sources:
  bamboohr: {scheme: bamboohr, tenant: acme, secret: secret://bamboohr-webhook}
  billing:  {scheme: standard, tenant: acme, secrets: [secret://billing-new, secret://billing-old]}
tokens:
  - {tenant: acme, token: secret://events-token}
  - {tenant: acme, token: secret://ada-token, user: ada}
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from factotum.events.envelope import TENANT_PATTERN, describe
from factotum.events.reserved import HOOKS
from factotum.gateway.errors import NotAuthenticated, SourcesInvalid, UnknownSource
from factotum.gateway.verification.bamboohr import BambooHRVerifier
from factotum.gateway.verification.signature import Verifier
from factotum.gateway.verification.standard import StandardVerifier
from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.store import SecretStore

log = structlog.get_logger(__name__)

SchemeName = Literal["bamboohr", "standard"]
Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceEntry(_Closed):
    """A source of webhooks; during a rotation it has several secrets, any of which may have signed."""

    scheme: SchemeName
    tenant: Tenant
    secret: str | None = None
    secrets: list[str] = []

    @model_validator(mode="after")
    def _has_secrets(self) -> Self:
        if bool(self.secret) == bool(self.secrets):
            raise ValueError("give either secret or secrets")
        return self

    @property
    def references(self) -> list[str]:
        return [self.secret] if self.secret else self.secrets


class TokenEntry(_Closed):
    """A bearer token of /v1 and the tenant that it stands for; with `user` also a person, for whom the runs act that
    its events start."""

    tenant: Tenant
    token: str
    user: str = Field(default="", max_length=256, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")


class SourcesFile(_Closed):
    sources: dict[SourceName, SourceEntry] = {}
    tokens: list[TokenEntry] = []


@dataclass(frozen=True)
class Sender:
    """Whom a bearer token stands for; `user` is empty where that is nobody but the tenant."""

    tenant: str
    user: str = ""


@dataclass(frozen=True)
class Source:
    """A source of webhooks, ready to verify."""

    name: str
    tenant: str
    scheme: SchemeName
    verifier: Verifier

    @property
    def uri(self) -> str:
        """The `source` attribute of its events."""
        return f"{HOOKS}{self.name}"


class Sources:
    """The senders that the gateway knows. Holds secrets; never log it."""

    def __init__(self, sources: Mapping[str, Source], tokens: Sequence[tuple[Sender, str]]) -> None:
        self._sources = dict(sources)
        # Digests have one length, so that comparing them says nothing about the tokens' lengths.
        self._tokens = [(sender, _digest(token.encode())) for sender, token in tokens]

    def __bool__(self) -> bool:
        return bool(self._sources or self._tokens)

    def become(self, other: Sources) -> None:
        """From now on these are the senders of the other."""
        self._sources, self._tokens = other._sources, other._tokens

    def source(self, name: str) -> Source:
        """Raises `UnknownSource`."""
        try:
            return self._sources[name]
        except KeyError:
            raise UnknownSource("no source of this name is configured") from None

    def sender_of(self, token: bytes) -> Sender:
        """Whom a bearer token stands for, found in constant time. Raises `NotAuthenticated`."""
        digest = _digest(token)
        matches = [sender for sender, known in self._tokens if hmac.compare_digest(known, digest)]
        if not matches:
            raise NotAuthenticated("the bearer token is not known")
        return matches[0]


async def load(path: Path, secrets: SecretStore, tolerance_seconds: int) -> Sources:
    """Reads the file and every secret it names. Raises `SourcesInvalid`, which names all faults at once, and
    `SecretsUnavailable`."""
    try:
        file = SourcesFile.model_validate(_read(path))
    except OSError as error:
        raise SourcesInvalid(f"{path} cannot be read: {error.strerror}. Set FACTOTUM_SOURCES_FILE.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourcesInvalid(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        raise SourcesInvalid(f"{path}: {describe(error)}") from error
    faults: list[str] = []
    sources = {}
    for name, entry in file.sources.items():
        try:
            values = [await _secret(secrets, entry.tenant, reference) for reference in entry.references]
            verifier = _verifier(entry.scheme, values, tolerance_seconds)
        except (UnknownSecret, ValueError) as error:
            faults.append(f"sources.{name}: {error}")
        else:
            sources[name] = Source(name, entry.tenant, entry.scheme, verifier)
    tokens: dict[str, Sender] = {}
    for index, token in enumerate(file.tokens):
        try:
            value = await _secret(secrets, token.tenant, token.token)
        except (UnknownSecret, ValueError) as error:
            faults.append(f"tokens.{index}: {error}")
        else:
            sender = Sender(token.tenant, token.user)
            if tokens.setdefault(value, sender) != sender:
                faults.append(f"tokens.{index}: another tenant or user has the same token")
    if faults:
        raise SourcesInvalid(f"{path}: {'; '.join(faults)}")
    return Sources(sources, [(sender, value) for value, sender in tokens.items()])


async def keep(
    sources: Sources, path: Path, secrets: SecretStore, tolerance_seconds: int, *, every_seconds: float
) -> None:
    """Takes up, until it is cancelled, what was changed in the file or among the secrets; where that is not to be
    used or not to be had, or names nobody any more, what was known before stays."""
    while True:
        await asyncio.sleep(every_seconds)
        try:
            if found := await load(path, secrets, tolerance_seconds):
                sources.become(found)
        except (SourcesInvalid, SecretsUnavailable) as error:
            log.warning("the sources stay as they were", reason=str(error))


def _read(path: Path) -> object:
    content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {} if content is None else content


async def _secret(secrets: SecretStore, tenant: str, reference: str) -> str:
    value = await secrets.resolve(tenant, names.name_of(reference))
    if not value:
        raise ValueError(f"{reference} of tenant {tenant} is empty")
    return value


def _verifier(scheme: SchemeName, secrets: Sequence[str], tolerance_seconds: int) -> Verifier:
    if scheme == "bamboohr":
        return BambooHRVerifier(secrets, tolerance_seconds)
    return StandardVerifier(secrets, tolerance_seconds)


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
