"""How a tenant's MCP server is reached, which of its tools are taken, and on what terms.

A server's own hints about its tools (readOnlyHint and the like) permit nothing: the terms are the operator's word.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from factotum.connectors.protocols.authentication import Authentication
from factotum.connectors.protocols.egress import EgressSettings
from factotum.connectors.protocols.mcp_session import Version
from factotum.connectors.protocols.mcp_stdio import SERVER_LIMITS
from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.sandbox import WORK, Limits
from factotum.sdk.spec import Compensation, Effect, Idempotency, RateLimit
from factotum.tool_executor.sandbox.network import check_host

# Properties of authentication policies that hold a secret.
_CONFIDENTIAL = frozenset({"token", "password", "secret", "assertion"})


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Remote(Part):
    """A server at an address. A header's value is a text, or as a whole `secret://name`. Of `authentication`,
    `use` and what is confidential are references: `bearer: {token: secret://name}`."""

    url: str = Field(pattern=r"^https?://")
    headers: dict[str, str] = {}
    authentication: Authentication | None = None

    @model_validator(mode="after")
    def _holds_no_secret(self) -> Self:
        if httpx2.URL(self.url).userinfo:
            raise ValueError("the url holds credentials: give them as authentication")
        if self.authentication is not None:
            given = self.authentication.model_dump(exclude_none=True)
            if "use" in given:
                raise ValueError("authentication.use names a policy of a document: write the scheme out")
            for name, value in _leaves(given, leaving_out="endpoints"):
                if name in {*_CONFIDENTIAL, "use"} and not value.startswith(SCHEME):
                    raise ValueError(f"authentication holds the value of {name}: give a reference, {SCHEME}name")
        return self


def _folder(text: str) -> str:
    path = PurePosixPath(text)
    if not path.is_absolute() or str(path) != text or ".." in path.parts or "\0" in text or text == "/":
        raise ValueError(f"{text!r} is not the whole path of a folder")
    if text == WORK:
        raise ValueError(f"{WORK} itself is the sandbox's own: name a folder in it, or let it stand elsewhere")
    return text


class Program(Part):
    """A server that is started here, in a sandbox: it reads the machine's programs and `folders`, reaches `hosts` by
    HTTP through a proxy and nothing else, and its files are gone with it. `environment` holds texts and references of
    secrets."""

    command: list[str] = Field(min_length=1, description="The program and its arguments.")
    environment: dict[str, str] = {}
    folders: list[Annotated[str, AfterValidator(_folder)]] = Field(
        default=[], description="Of the machine, that it may read, such as the one it is installed in."
    )
    hosts: list[Annotated[str, AfterValidator(check_host)]] = Field(
        default=[], description="host, host:port or *.domain of whom it may reach."
    )
    limits: Limits = SERVER_LIMITS
    unsandboxed: bool = Field(
        default=False, description="It runs as the tool executor does, and may read and reach all that this may."
    )

    @model_validator(mode="after")
    def _is_in_a_sandbox_or_not(self) -> Self:
        if self.unsandboxed and (self.folders or self.hosts):
            raise ValueError("unsandboxed it may read and reach everything: leave out folders and hosts")
        return self


class Lookup(Part):
    """Asking whether an effect happened, by another tool of the server, to whose `argument` the key is given.

    It did if the structured result has something other than null at the JSON pointer `at`; that is then the output.
    """

    tool: str
    argument: str
    arguments: dict[str, Any] = {}
    at: str = Field(default="", pattern=r"^(/.*)?$")


class Terms(Part):
    """What one tool does, and how its effect happens once.

    Attributes:
        name: what it is called here, after the dot.
        key_argument: the argument that is given a key derived from the idempotency key; callers do not give it.
        reconcile: how the server is asked for what has that key.
        failed_means_undone: where the tool says that it failed, it certainly did nothing. Else a failure of a tool
            that has an effect leaves that possible, and a person is asked where the server cannot be.
    """

    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    effect: Effect = Effect.EXECUTE
    idempotency: Idempotency = Idempotency.NONE
    key_argument: str | None = None
    reconcile: Lookup | None = None
    failed_means_undone: bool = False
    compensation: Compensation | None = None
    permissions: tuple[str, ...] = ()
    seconds: float | None = Field(default=None, gt=0, le=3600)
    rate_limit: RateLimit | None = None
    concurrency: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if (self.idempotency is Idempotency.RECONCILE) is (self.reconcile is None):
            raise ValueError("idempotency: reconcile and reconcile go together")
        if self.reconcile is not None and self.key_argument is None:
            raise ValueError("reconcile needs the key_argument by which the server knows the effect")
        return self


class McpConfig(EgressSettings):
    """A source of the kind mcp.

    The origin of `http.url` may be reached; `allow` is for others, such as the token endpoint.
    """

    http: Remote | None = None
    stdio: Program | None = None
    tools: list[str] | Literal["*"] = Field(default=[], description="The server's names of those taken; * for all.")
    without: list[str] = Field(default=[], description="Names that are not taken where all are.")
    reads: list[str] = Field(default=[], description="Names of tools that only read: they may be called again.")
    terms: dict[str, Terms] = Field(default={}, description="By the server's name of a tool.")
    resources: list[str] = Field(
        default=[], description="URIs that may be read, * standing for anything: [docs://*]. None: no resource may."
    )
    prompts: list[str] | Literal["*"] = Field(default=[], description="Names of prompts that may be had.")
    seconds: float = Field(default=60.0, gt=0, le=3600, description="That a call may take.")
    sessions: int = Field(default=2, gt=0, le=32, description="Calls at a time; each has a session of its own.")
    idle_seconds: float = Field(default=300.0, gt=0, description="After which a session that nobody uses is closed.")
    protocol_version: Version = "2025-11-25"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.http is None) is (self.stdio is None):
            raise ValueError("give either http or stdio")
        if contradicted := sorted({*self.reads} & {n for n, t in self.terms.items() if t.effect is not Effect.NONE}):
            raise ValueError(f"{', '.join(contradicted)} cannot both read and have terms with an effect")
        return self

    @property
    def longest_seconds(self) -> float:
        """That a call of any tool may take."""
        return max(self.seconds, *(terms.seconds or 0.0 for terms in self.terms.values()), 0.0)

    def takes(self, name: str) -> bool:
        return name not in self.without and (self.tools == "*" or name in self.tools)

    def terms_of(self, name: str) -> Terms:
        if name in self.terms and name not in self.reads:
            return self.terms[name]
        if name in self.reads:
            return Terms(effect=Effect.NONE, idempotency=Idempotency.NATIVE)
        return Terms()

    def references(self) -> list[str]:
        """The secrets that are named, as `secret://name`."""
        return sorted({value for _, value in _leaves(self.model_dump(mode="json")) if value.startswith(SCHEME)})


def _leaves(value: Any, name: str = "", *, leaving_out: str = "") -> Iterator[tuple[str, str]]:
    """The texts inside, each with the name that it stands under."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            if inner_name != leaving_out:
                yield from _leaves(inner, inner_name, leaving_out=leaving_out)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, name, leaving_out=leaving_out)
    elif isinstance(value, str):
        yield name, value
