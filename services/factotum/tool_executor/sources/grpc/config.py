"""How a tenant's gRPC service is reached, which of its methods are taken, and on what terms.

What a proto says of a method's idempotency permits nothing by itself: the terms are the operator's word, who may take
the proto's with `accept_idempotency_level`.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.spec import Compensation, Effect, Idempotency, RateLimit

_KEY = re.compile(r"[0-9a-z_.-]+")
_CONFIDENTIAL = ("authorization", "cookie", "proxy-authorization", "x-api-key")


def _metadata_key(key: str) -> str:
    if not _KEY.fullmatch(key) or key.startswith("grpc-") or key.endswith("-bin"):
        raise ValueError(f"{key!r} is no key of text metadata: a-z, 0-9, _ . - and neither grpc-… nor …-bin")
    return key


MetadataKey = Annotated[str, AfterValidator(_metadata_key)]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Terms(Part):
    """What one method does, and how its effect happens once.

    Attributes:
        name: what it is called here, after the dot.
        effect: None: as accepted of the proto, else `execute`.
        idempotency: native where the service knows a call by the key that `key_metadata` carries, or where doing it
            again changes nothing. None: as accepted of the proto, else `none`: an interrupted call waits for a person.
    """

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    description: str | None = None
    effect: Effect | None = None
    idempotency: Literal[Idempotency.NATIVE, Idempotency.NONE] | None = None
    compensation: Compensation | None = None
    permissions: tuple[str, ...] = ()
    seconds: float | None = Field(default=None, gt=0, le=3600)
    rate_limit: RateLimit | None = None
    concurrency: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.effect is Effect.NONE and (self.compensation or self.idempotency is Idempotency.NONE):
            raise ValueError("what has no effect has no compensation, and may always be called again")
        return self


class GrpcConfig(Part):
    """A source of the kind grpc. Methods are named `package.Service/Method`; in a pattern * stands for anything."""

    address: str = Field(description="grpcs://host:port, or grpc://host:port without TLS.")
    methods: dict[str, Terms] = Field(
        default={},
        description="By pattern, those taken. Its own name goes before a pattern, a later one before others.",
    )
    without: list[str] = Field(default=[], description="Patterns of those that are not taken.")
    accept_idempotency_level: bool = Field(
        default=False, description="NO_SIDE_EFFECTS and IDEMPOTENT of the proto are true, where terms say nothing else."
    )
    metadata: dict[MetadataKey, str] = Field(
        default={}, description="Sent with each call; a value may be secret://name."
    )
    bearer: str = Field(default="", pattern=rf"^$|^{SCHEME}.+", description="secret://name of the token.")
    key_metadata: MetadataKey | None = Field(
        default=None, description="The metadata in which a call with an effect carries its idempotency key."
    )
    certificates: str = Field(default="", description="PEM certificates to trust in place of the public ones.")
    version: str = Field(default="1.0.0", pattern=r"^\d+\.\d+\.\d+$", description="Of the tools.")
    timeout: float = Field(default=10.0, gt=0, le=60, description="Seconds to connect in.")
    seconds: float = Field(default=60.0, gt=0, le=3600, description="The deadline of a call.")
    max_messages: int = Field(default=1000, gt=0, description="Of a stream.")
    max_bytes: int = Field(default=8 * 1024 * 1024, gt=0, description="Of an answer, of a stream, and of descriptors.")

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        try:
            split = urlsplit(self.address)
            port = split.port
        except ValueError as error:
            raise ValueError(f"address: {error}") from error
        plain = f"{split.scheme}://{split.netloc}" == self.address
        if split.scheme not in ("grpc", "grpcs") or not split.hostname or port == 0 or not plain or "@" in split.netloc:
            raise ValueError("address is grpcs://host:port, or grpc://host:port without TLS")
        if self.certificates and split.scheme != "grpcs":
            raise ValueError("certificates are for grpcs://")
        for name, value in self.metadata.items():
            if name in _CONFIDENTIAL and not value.startswith(SCHEME):
                raise ValueError(f"metadata holds the value of {name}: give a reference, {SCHEME}name")
        if self.bearer and "authorization" in self.metadata:
            raise ValueError("bearer is the metadata authorization: give one of them")
        return self

    @property
    def way(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        split = urlsplit(self.address)
        return split.scheme, split.hostname or "", split.port or (443 if split.scheme == "grpcs" else 80)

    def takes_service(self, service: str) -> bool:
        return any(fnmatchcase(service, pattern.partition("/")[0]) for pattern in self.methods)

    def terms_of(self, method: MethodDescriptor) -> Terms | None:
        """None for one that is not taken."""
        name = f"{method.containing_service.full_name}/{method.name}"
        if any(fnmatchcase(name, pattern) for pattern in self.without):
            return None
        found = [pattern for pattern in self.methods if fnmatchcase(name, pattern)]
        terms = self.methods.get(name) or (self.methods[found[-1]] if found else None)
        return None if terms is None else self._completed(terms, method)

    def _completed(self, terms: Terms, method: MethodDescriptor) -> Terms:
        level = method.GetOptions().idempotency_level if self.accept_idempotency_level else None
        reads = level == MethodOptions.NO_SIDE_EFFECTS
        effect = terms.effect or (Effect.NONE if reads and terms.idempotency is None else Effect.EXECUTE)
        idempotency = terms.idempotency
        if idempotency is None:
            again = effect is Effect.NONE or reads or level == MethodOptions.IDEMPOTENT
            idempotency = Idempotency.NATIVE if again else Idempotency.NONE
        return terms.model_copy(update={"effect": effect, "idempotency": idempotency})
