"""The gateway in the test's own process, and senders who sign by themselves."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from factotum.events.producer import EventProducer
from factotum.gateway import server, sources
from factotum.gateway.http import create_app
from factotum.gateway.intake import Intake
from factotum.gateway.runs import PlannerClient
from factotum.gateway.settings import HttpSettings
from factotum.runtime import clock, grpc_client
from factotum.runtime.secrets.files import SecretFiles

BAMBOOHR_SECRET = "bamboo-secret"
STANDARD_KEY = b"a key of 24 bytes or so.."
ACME_TOKEN = "acme-events-token"
GLOBEX_TOKEN = "globex-events-token"
MAX_EVENTS = 500

_SOURCES = """
sources:
  bamboohr: {scheme: bamboohr, tenant: acme, secret: secret://bamboohr-webhook}
  bamboohr-globex: {scheme: bamboohr, tenant: globex, secret: secret://bamboohr-webhook}
  billing: {scheme: standard, tenant: acme, secrets: [secret://billing-webhook, secret://billing-webhook-old]}
tokens:
  - {tenant: acme, token: secret://events-token}
  - {tenant: globex, token: secret://events-token}
"""


def write_sources(directory: Path) -> tuple[Path, Path]:
    """A file of sources and a directory of the secrets it names."""
    file, secrets = directory / "sources.yaml", directory / "secrets"
    file.write_text(_SOURCES)
    values = {
        "acme/bamboohr-webhook": BAMBOOHR_SECRET,
        "globex/bamboohr-webhook": "another secret",
        "acme/billing-webhook": "whsec_" + base64.b64encode(STANDARD_KEY).decode(),
        "acme/billing-webhook-old": "whsec_" + base64.b64encode(STANDARD_KEY[::-1]).decode(),
        "acme/events-token": ACME_TOKEN,
        "globex/events-token": GLOBEX_TOKEN,
    }
    for name, value in values.items():
        (secrets / name).parent.mkdir(parents=True, exist_ok=True)
        (secrets / name).write_text(value + "\n")
    return file, secrets


def bamboohr_headers(body: bytes, now: datetime, secret: str = BAMBOOHR_SECRET) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    signature = hmac.new(secret.encode(), body + timestamp.encode(), hashlib.sha256).hexdigest()
    return {
        "content-type": "application/json",
        "x-bamboohr-timestamp": timestamp,
        "x-bamboohr-signature": signature,
    }


def standard_headers(body: bytes, now: datetime, message_id: str, key: bytes = STANDARD_KEY) -> dict[str, str]:
    timestamp = str(int(now.timestamp()))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def employee_body(employee_id: str, action: str = "Created", **fields: Any) -> bytes:
    entry = {
        "id": employee_id,
        "action": action,
        "timestamp": "2026-11-24T09:00:00Z",
        "changedFields": sorted(fields),
        "fields": fields,
    }
    return json.dumps({"employees": [entry]}).encode()


@dataclass(frozen=True)
class Gateway:
    """A gateway that serves: in this process through `app`, and on a socket."""

    app: FastAPI
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def gateway(
    directory: Path,
    bootstrap_servers: str,
    planner_address: str,
    *,
    publish_timeout_seconds: float = 10.0,
    body_timeout_seconds: float = 30.0,
    tracer_provider: TracerProvider | None = None,
) -> AsyncIterator[Gateway]:
    """Serves on a free port, with sources and secrets written into `directory`, until the context ends."""
    file, secrets = write_sources(directory)
    http = HttpSettings(port=0)
    stop = asyncio.Event()
    async with (
        EventProducer(bootstrap_servers, client_id="gateway", timeout_seconds=publish_timeout_seconds) as producer,
        grpc_client.channel(planner_address) as channel,
    ):
        app = create_app(
            sources=await sources.load(file, SecretFiles(secrets), 300),
            intake=Intake(
                producer, max_events=MAX_EVENTS, max_event_bytes=1_000_000, within_seconds=publish_timeout_seconds
            ),
            producer=producer,
            planner=PlannerClient(channel, timeout_seconds=2.0),
            max_body_bytes=1024 * 1024,
            body_timeout_seconds=body_timeout_seconds,
            clock=clock.now,
            tracer_provider=tracer_provider or TracerProvider(),
        )
        listener = server.listen(http)
        port = listener.getsockname()[1]
        serving = asyncio.create_task(server.serve(app, listener, http, stop))
        try:
            yield Gateway(app, http.host, port)
        finally:
            stop.set()
            await serving
