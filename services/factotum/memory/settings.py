"""Settings of the memory, from the environment: `FACTOTUM_MILVUS__URI=…`."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from factotum.runtime.settings import GrpcSettings, KafkaSettings, Part, ProcessSettings, SecretsSettings


def _default_cache() -> Path:
    # XDG Base Directory Specification 0.8: a relative or empty XDG_CACHE_HOME is to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "factotum"


class MilvusSettings(Part):
    uri: str = Field(default=".factotum/memory.db", min_length=1, description="a file (Milvus Lite) or http(s)://…")
    token: str = Field(default="", description="secret://name, among the secrets of the tenant `platform`")
    timeout_seconds: float = Field(default=10.0, gt=0)


class EmbeddingSettings(Part):
    cache_dir: Path = Field(default_factory=_default_cache, description="where the ONNX graph is kept (90 MB)")
    threads: int = Field(default=2, ge=1, description="CPU threads")
    batch_size: int = Field(default=32, ge=1, le=1024)


class IngestSettings(Part):
    batch_size: int = Field(default=64, ge=1, le=1000)
    within_seconds: float = Field(default=0.3, gt=0, description="longest wait of a message for others")


class Settings(ProcessSettings):
    grpc: GrpcSettings = GrpcSettings(port=50053)
    kafka: KafkaSettings = KafkaSettings()
    secrets: SecretsSettings = SecretsSettings()
    milvus: MilvusSettings = MilvusSettings()
    embedding: EmbeddingSettings = EmbeddingSettings()
    ingest: IngestSettings = IngestSettings()
