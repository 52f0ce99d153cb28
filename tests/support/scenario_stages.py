"""Both stages over one executor and one pet store, for a module of scenarios."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.memory_stage import MemoryStage, memory_stage
from tests.support.pet_store import pet_store
from tests.support.scenario import PET_STORE, Performance, Scenario, Stage
from tests.support.scenario_tools import scenario_tools
from tests.support.temporal import temporal_server
from tests.support.temporal_stage import TemporalStage, temporal_stage

# What the tenant of scenarios may do: reach the stand-in on loopback, run commands; it has no image to run.
SETTINGS = {
    "http": {"allow": ["http://127.0.0.1:*"]},
    "openapi": {"allow": ["http://127.0.0.1:*"]},
    "process": {"shell": True, "script": True, "container": True},
}


@dataclass(frozen=True, slots=True)
class Stages:
    """Where scenarios are played; `store` is the address of the pet store."""

    store: str
    temporal: TemporalStage
    memory: MemoryStage

    def stage(self, name: str) -> Stage:
        return self.temporal if name == "temporal" else self.memory

    async def play(self, name: str, scenario: Scenario) -> Performance:
        """Plays the scenario with the pet store in place of its name."""
        text = scenario.model_dump_json(by_alias=True, exclude={"expect"}).replace(PET_STORE, self.store)
        return await self.stage(name).play(Scenario.model_validate_json(text))


@asynccontextmanager
async def scenario_stages(folder: Path) -> AsyncIterator[Stages]:
    """A Temporal server, a worker, an executor and a pet store, ended with the context."""
    async with (
        temporal_server() as environment,
        pet_store() as store,
        scenario_tools(folder, SETTINGS) as tools,
        temporal_stage(environment.client, tools) as temporal,
        memory_stage(tools) as memory,
    ):
        yield Stages(store.url, temporal, memory)
