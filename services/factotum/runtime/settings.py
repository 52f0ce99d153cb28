"""Parts that the settings of several processes are made of.

A process declares one `Settings(ProcessSettings)` in its `settings.py` and reads it once, in its
`main.py`. Values come from environment variables: `FACTOTUM_KAFKA__BOOTSTRAP_SERVERS=…`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Part(BaseModel):
    """A closed, immutable group of settings: an unknown name is an error, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Part):
    bootstrap_servers: str = Field(default="127.0.0.1:9092", description="host:port[,host:port…]")
    publish_timeout_seconds: float = Field(default=10.0, gt=0)
    # The in-process cluster of librdkafka can neither create topics nor elect a leader by topic.
    embedded: bool = False


class ClaimSettings(Part):
    folder: Path | None = Field(
        default=None,
        description="where large payloads of runs are kept, one place for the planner and every worker; "
        "none: in Temporal, which takes 2 MiB",
    )
    threshold_bytes: int = Field(default=256 * 1024, ge=1024, description="the size from which a payload is kept there")


class TemporalSettings(Part):
    address: str = "127.0.0.1:7233"
    namespace: str = "default"
    task_queue: str = "factotum"
    ui_url: str = Field(default="", description="address of the Temporal UI; empty if there is none")
    claims: ClaimSettings = ClaimSettings()


class GrpcSettings(Part):
    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535, description="0: a free one")


class TelemetrySettings(Part):
    otlp_endpoint: str = Field(default="", description="base URL of an OTLP/HTTP collector; empty: no export")
    otlp_metrics: bool = Field(default=False, description="export metrics too; the local stack's collector takes none")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_json: bool = True


# Where Kubernetes puts a service account's credentials into every container.
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class TokenLogin(Part):
    """A token of Vault's that somebody else made; in a file, it is read again when Vault takes it no more."""

    method: Literal["token"] = "token"
    token: SecretStr | None = None
    token_file: Path = Path("/vault/secrets/token")


class KubernetesLogin(Part):
    """Vault asks Kubernetes whose token it is."""

    method: Literal["kubernetes"]
    role: str
    mount: str = "kubernetes"
    token_file: Path = _SERVICE_ACCOUNT / "token"


class AppRoleLogin(Part):
    method: Literal["approle"]
    role_id: str
    secret_id_file: Path
    mount: str = "approle"


class VaultSettings(Part):
    address: str = Field(default="https://127.0.0.1:8200", description="of Vault or OpenBao, without /v1")
    namespace: str = ""
    mount: str = Field(default="secret", description="of the engine kv, version 2")
    path: str = Field(default="factotum", description="under the mount, before <tenant>/<name>; may be empty")
    ca_file: Path | None = Field(default=None, description="certificates to trust in place of the system's")
    login: TokenLogin | KubernetesLogin | AppRoleLogin = Field(default=TokenLogin(), discriminator="method")


class KubernetesSettings(Part):
    server: str = "https://kubernetes.default.svc"
    namespace: str = Field(default="", description="of the Secrets; empty: the one that we run in")
    prefix: str = Field(default="factotum", description="Secrets are <prefix>.<tenant>")
    token_file: Path = _SERVICE_ACCOUNT / "token"
    ca_file: Path = _SERVICE_ACCOUNT / "ca.crt"
    namespace_file: Path = _SERVICE_ACCOUNT / "namespace"


class SecretsSettings(Part):
    """See docs/secrets.md."""

    providers: tuple[Literal["files", "environment", "vault", "kubernetes"], ...] = Field(
        default=("files",), min_length=1, description="the first that has a secret gives it"
    )
    directory: Path = Field(default=Path("secrets"), description="one file a secret: <directory>/<tenant>/<name>")
    vault: VaultSettings = VaultSettings()
    kubernetes: KubernetesSettings = KubernetesSettings()
    cache_seconds: float = Field(default=30.0, ge=0, description="after which a changed secret is taken up")
    timeout_seconds: float = Field(default=5.0, gt=0, description="how long a store may take to answer")


class ProcessSettings(BaseSettings):
    """Base of every process's settings."""

    model_config = SettingsConfigDict(env_prefix="FACTOTUM_", env_nested_delimiter="__", frozen=True, extra="forbid")

    telemetry: TelemetrySettings = TelemetrySettings()
