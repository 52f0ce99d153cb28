"""Settings of the memory, from the environment: `FACTOTUM_MILVUS__URI=…`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from factotum.memory.embedders.minilm import Precision
from factotum.runtime.settings import GrpcSettings, KafkaSettings, Part, ProcessSettings, SecretsSettings


def _default_cache() -> Path:
    # XDG Base Directory Specification 0.8: a relative or empty XDG_CACHE_HOME is to be ignored.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "factotum"


class MilvusSettings(Part):
    uri: str = Field(default=".factotum/memory.db", min_length=1, description="a file (Milvus Lite) or http(s)://…")
    token: str = Field(default="", description="secret://name, among the secrets of the tenant `platform`")
    timeout_seconds: float = Field(default=10.0, gt=0)


class OpenAIEmbeddingSettings(Part):
    base_url: str = Field(pattern=r"^https?://", description="before /embeddings, e.g. https://api.example.com/v1")
    model: str = Field(pattern=r"^\S{1,120}$")
    dimension: int = Field(ge=1, le=32768, description="of the model's vectors")
    shorten: bool = Field(default=False, description="ask for vectors of that dimension; not every model can")
    api_key: str = Field(default="", description="secret://name, among the secrets of the tenant `platform`")
    batch_size: int = Field(default=64, ge=1, le=2048, description="texts of one request")
    attempts: int = Field(default=5, ge=1, description="of one request, the first included")
    longest_wait_seconds: float = Field(default=30.0, gt=0, description="between attempts, whatever the endpoint names")
    timeout_seconds: float = Field(default=30.0, gt=0)


class EmbeddingSettings(Part):
    """See docs/memory.md. What is kept was embedded by one of these: another choice wants `factotum memory reindex`.

    `former` is the endpoint of before, which goes on serving until then.
    """

    kind: Literal["minilm", "openai"] = "minilm"
    cache_dir: Path = Field(default_factory=_default_cache, description="where minilm's ONNX file is kept (60 MB)")
    precision: Precision = Field(default=Precision.INT8, description="of minilm")
    threads: int = Field(default=2, ge=1, description="CPU threads of minilm")
    batch_tokens: int = Field(default=1024, ge=1, le=65536, description="of one computation of minilm")
    openai: OpenAIEmbeddingSettings | None = None
    former: OpenAIEmbeddingSettings | None = None

    @model_validator(mode="after")
    def _endpoint_is_set(self) -> Self:
        if self.kind == "openai" and self.openai is None:
            raise ValueError("kind openai wants openai.base_url, openai.model and openai.dimension")
        return self


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
