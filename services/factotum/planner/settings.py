"""Settings of the planner."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from factotum.planner.shelf import packaged_folder
from factotum.runtime.settings import GrpcSettings, KafkaSettings, ProcessSettings, TemporalSettings


class Settings(ProcessSettings):
    grpc: GrpcSettings = GrpcSettings(port=50051)
    kafka: KafkaSettings = KafkaSettings()
    temporal: TemporalSettings = TemporalSettings()
    tool_executor_address: str = Field(default="127.0.0.1:50052", description="host:port")
    procedures: list[Path] = Field(
        default_factory=lambda: [packaged_folder()], description="folders of *.yaml procedures"
    )
    store_path: Path = Field(
        default=Path(".factotum/planner/store.sqlite3"),
        description="file of the procedures and subscriptions; planners of one host may share it",
    )
    partial_matches_days: float = Field(
        default=7.0, gt=0, description="how long an event waits for the others of `schedule.on.all`"
    )
    schedule_tenants: list[str] = Field(
        default=[], description="tenants for whom the procedures of the folders are started by the clock"
    )
    groups_file: Path | None = Field(
        default=None, description="who is meant by `group:NAME` in an approval (runtime/groups.py); none: nobody"
    )
    catalog_folders: list[Path] = Field(
        default=[], description="folders that `file:` catalogs and schemas of documents may lie in; none: no such"
    )
