"""The memory for tests: events as the others publish them, and the service as a process of its own."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from factotum.events.envelope import Event
from factotum.events.types import OBSERVATION_TYPE, OUTCOME_TYPE, ObservationData, ObservedError, OutcomeData
from factotum.runtime.grpc_client import channel
from tests.support import processes

ENDED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STARTED = ENDED - timedelta(seconds=12)
EMPLOYEE = {
    "id": "123",
    "firstName": "Ada",
    "lastName": "Lovelace",
    "workEmail": "ada.lovelace@acme.example",
    "department": "Engineering",
}


def outcome(run_id: str = "acme.employee-onboarding.ab12", *, tenant: str = "acme", **changes: Any) -> Event:
    data = {
        "run_id": run_id,
        "procedure": "employee-onboarding",
        "procedure_version": "1.0.0",
        "event_type": "com.bamboohr.employee.created",
        "status": "completed",
        "input": {"employee": EMPLOYEE, "action": "Created"},
        "started_at": STARTED,
        "ended_at": ENDED,
        **changes,
    }
    return Event(
        id=f"{run_id}:outcome",
        source="/worker",
        type=OUTCOME_TYPE,
        tenant=tenant,
        subject=run_id,
        time=ENDED,
        data=OutcomeData.model_validate(data).model_dump(mode="json"),
    )


def observation(event_id: str, *, tenant: str = "acme", error: ObservedError | None = None, **changes: Any) -> Event:
    data = {
        "tool": "identity.create_user",
        "tool_version": "1.0.0",
        "effect": "write",
        "run_id": "acme.employee-onboarding.ab12",
        "step": "/do/1/createAccount",
        "procedure": "employee-onboarding",
        "arguments": {"userName": "ada.lovelace"},
        "output": None if error else {"id": "99"},
        "error": error,
        "started_at": STARTED,
        "ended_at": ENDED,
        **changes,
    }
    return Event(
        id=event_id,
        source="/tool-executor",
        type=OBSERVATION_TYPE,
        tenant=tenant,
        subject=str(data["run_id"]) or None,
        time=ENDED,
        data=ObservationData.model_validate(data).model_dump(mode="json"),
    )


async def start_service(
    directory: Path, cache_dir: Path, kafka: str, port: int, env: Mapping[str, str] | None = None
) -> processes.Process:
    """The memory as `factotum dev` would start it; its database lies in `directory`."""
    return await processes.start(
        [sys.executable, "-m", "factotum.memory.main"],
        serving(port),
        log=directory / "memory.log",
        env={**service_env(directory, cache_dir, kafka, port), **(env or {})},
        within=60,
    )


def service_env(directory: Path, cache_dir: Path, kafka: str, port: int) -> dict[str, str]:
    return {
        "FACTOTUM_GRPC__PORT": str(port),
        "FACTOTUM_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "FACTOTUM_KAFKA__EMBEDDED": "true",
        "FACTOTUM_MILVUS__URI": str(directory / "memory.db"),
        "FACTOTUM_EMBEDDING__CACHE_DIR": str(cache_dir),
    }


def serving(port: int) -> processes.Probe:
    """True once the gRPC server on this port says that it serves."""

    async def probe() -> bool:
        async with channel(f"127.0.0.1:{port}") as probed:
            try:
                answer = await health_pb2_grpc.HealthStub(probed).Check(health_pb2.HealthCheckRequest(), timeout=1)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return probe
