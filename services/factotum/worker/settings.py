"""Settings of the worker."""

from __future__ import annotations

from pydantic import Field

from factotum.runtime.settings import GrpcSettings, KafkaSettings, ProcessSettings, TemporalSettings


class Settings(ProcessSettings):
    grpc: GrpcSettings = Field(default=GrpcSettings(port=50054), description="health only")
    kafka: KafkaSettings = KafkaSettings()
    temporal: TemporalSettings = TemporalSettings()
    tool_executor_address: str = Field(default="127.0.0.1:50052", description="host:port")
    planner_address: str = Field(default="127.0.0.1:50051", description="host:port")
    memory_address: str = Field(default="127.0.0.1:50053", description="host:port")
    consolidation_hours: float = Field(
        default=24.0, ge=0, description="between consolidations of the memory; 0: it is not consolidated"
    )
    max_concurrent_activities: int = Field(default=200, ge=1)
