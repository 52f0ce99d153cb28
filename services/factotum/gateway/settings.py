"""The gateway's settings, from the environment: `FACTOTUM_HTTP__PORT=8080`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from factotum.runtime.settings import KafkaSettings, Part, ProcessSettings, SecretsSettings


class HttpSettings(Part):
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535, description="0: a free one")
    # Longer than one publication may take, so that a stop never cuts off an answer.
    shutdown_seconds: int = Field(default=15, gt=0)


class Settings(ProcessSettings):
    http: HttpSettings = HttpSettings()
    kafka: KafkaSettings = KafkaSettings()
    secrets: SecretsSettings = SecretsSettings()
    planner_address: str = "127.0.0.1:50051"
    sources_file: Path = Field(default=Path("sources.yaml"), description="see factotum.gateway.sources")
    max_body_bytes: int = Field(default=1024 * 1024, gt=0)
    # All events of a body are acknowledged within one publication's time, and other senders wait meanwhile.
    max_body_events: int = Field(default=500, gt=0, description="employees of a webhook, events of a batch")
    body_timeout_seconds: float = Field(default=30.0, gt=0, description="how long a sender may take to send a body")
    # A request to Kafka takes 1 MiB with key and headers; an event may grow when it is written anew.
    max_event_bytes: int = Field(default=1_000_000, gt=0, le=1_000_000)
    tolerance_seconds: int = Field(default=300, gt=0, description="how far a signature's time may be off, either way")
