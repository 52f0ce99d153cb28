"""Settings of the tool executor, from the environment: `FACTOTUM_CONNECTORS_FILE=connectors.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from factotum.runtime.settings import GrpcSettings, KafkaSettings, Part, ProcessSettings, SecretsSettings
from factotum.tool_executor import under_way
from factotum.tool_executor.policy.folders import STARTER


def _of_postgres(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("must be postgresql://user:password@host:port/database")
    return url


LedgerUrl = Annotated[SecretStr, AfterValidator(_of_postgres)]


class LimitSettings(Part):
    line_seconds: float = Field(
        default=1.0, gt=0, description="how long a call waits for its turn where a tool takes so many at once"
    )
    breaker_failures: int = Field(
        default=10,
        ge=0,
        description="after so many calls in a row that a system did not answer it is left alone for a while; 0: never",
    )
    breaker_window_seconds: float = Field(default=30.0, gt=0, description="in which those many have to be")
    breaker_cool_down_seconds: float = Field(default=5.0, gt=0, description="until one call may try again")


class SandboxSettings(Part):
    cgroups: list[Path] = Field(
        default=[],
        description="folders of control groups in which each command has its own: one of version 2 with the "
        "controllers memory and pids, or one for each of them of version 1",
    )
    folders: list[Path] = Field(
        default=[],
        description="of the machine, that MCP servers which tenants have started here may be let read, with all that "
        "is in them; others may not",
    )
    unsandboxed: list[str] = Field(
        default=[],
        description="tenants whose MCP servers may run without a sandbox: they read all that the tool executor may, "
        "other tenants' secrets too",
    )


class Settings(ProcessSettings):
    grpc: GrpcSettings = GrpcSettings(port=50052)
    kafka: KafkaSettings = KafkaSettings()
    secrets: SecretsSettings = SecretsSettings()
    connectors_file: Path = Field(
        default=Path("connectors.yaml"), description="each tenant's settings; see factotum.tool_executor.tenants"
    )
    policies: list[Path] = Field(
        default=[STARTER], description="folders of *.cedar files: who may do what; nothing else is permitted"
    )
    groups_file: Path | None = Field(
        default=None, description='who is meant by Group::"tenant/NAME" (runtime/groups.py); none: nobody'
    )
    connectors: list[str] | None = Field(
        default=None, description="modules to load in place of the entry points of the group factotum.tools"
    )
    tools_folder: Path | None = Field(
        default=None,
        description="every *.py in it is loaded as a connector: code that is trusted as Factotum itself is",
    )
    tool_sources_file: Path | None = Field(
        default=None, description="sources of tools that are kept in a file; see factotum.tool_executor.sources.file"
    )
    sources_look_seconds: float = Field(
        default=3.0, gt=0, description="between looks what another executor added or removed"
    )
    source_read_seconds: float = Field(default=60.0, gt=0, description="how long reading a source may take")
    source_offer_seconds: float = Field(
        default=60.0,
        gt=0,
        description="how long making tools of what was read, or importing a module, may take: then what was to be "
        "added is refused, and what was there goes on beside all else",
    )
    sources_start_seconds: float = Field(
        default=20.0,
        gt=0,
        description="how long a start waits for all tools before it says that it is ready; the others are there when "
        "they are made",
    )
    ledger_path: Path = Path(".factotum/tool-executor/ledger.sqlite")
    ledger_url: LedgerUrl | None = Field(
        default=None,
        description="postgresql://user:password@host:port/database, where several executors share one ledger: in "
        "place of the file",
    )
    effects_kept_days: float = Field(
        default=180.0,
        ge=0,
        description="how long an effect is remembered of which all is known; longer than Temporal keeps a run that "
        "somebody may reset, 0: for ever",
    )
    limits: LimitSettings = LimitSettings()
    sandbox: SandboxSettings = SandboxSettings()
    lease_seconds: float = Field(
        default=5.0, gt=0, description="how long a call that nobody renews any more keeps a retry waiting"
    )
    ambiguous_retry_seconds: float = Field(default=5.0, gt=0, description="between looks whether a person decided")
    cancel_grace_seconds: float = Field(
        default=under_way.GRACE_SECONDS, ge=0, description="how long a call may go on after it was asked to end"
    )
