"""Settings of the tool executor, from the environment: `FACTOTUM_CONNECTORS_FILE=connectors.yaml`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from factotum.runtime.settings import GrpcSettings, KafkaSettings, ProcessSettings, SecretsSettings
from factotum.tool_executor import under_way


class Settings(ProcessSettings):
    grpc: GrpcSettings = GrpcSettings(port=50052)
    kafka: KafkaSettings = KafkaSettings()
    secrets: SecretsSettings = SecretsSettings()
    connectors_file: Path = Field(
        default=Path("connectors.yaml"), description="each tenant's settings; see factotum.tool_executor.tenants"
    )
    connectors: list[str] | None = Field(
        default=None, description="modules to load in place of the entry points of the group factotum.tools"
    )
    ledger_path: Path = Path(".factotum/tool-executor/ledger.sqlite")
    lease_seconds: float = Field(
        default=5.0, gt=0, description="how long a call that nobody renews any more keeps a retry waiting"
    )
    ambiguous_retry_seconds: float = Field(default=5.0, gt=0, description="between looks whether a person decided")
    cancel_grace_seconds: float = Field(
        default=under_way.GRACE_SECONDS, ge=0, description="how long a call may go on after it was asked to end"
    )
