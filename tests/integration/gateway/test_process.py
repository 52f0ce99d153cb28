"""The gateway as a process of its own: its start, its trace and its end."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from factotum.events.topics import EVENTS
from factotum.runtime import clock
from tests.support.gateway import bamboohr_headers, employee_body, write_sources
from tests.support.kafka import read_all

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def environment(sources: Path, secrets: Path, kafka: str, port: int) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": "services",
        "FACTOTUM_SOURCES_FILE": str(sources),
        "FACTOTUM_SECRETS__DIRECTORY": str(secrets),
        "FACTOTUM_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "FACTOTUM_HTTP__PORT": str(port),
    }


async def start(variables: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "factotum.gateway.main", env=variables, stderr=asyncio.subprocess.PIPE
    )


@asynccontextmanager
async def running(
    directory: Path, kafka: str, *, collector: str = ""
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    port = free_port()
    variables = environment(*write_sources(directory), kafka, port)
    process = await start({**variables, "FACTOTUM_TELEMETRY__OTLP_ENDPOINT": collector})
    try:
        async with httpx2.AsyncClient() as client:
            for _ in range(200):
                try:
                    await client.get(f"http://127.0.0.1:{port}/healthz")
                    break
                except httpx2.TransportError:
                    assert process.returncode is None, (await process.communicate())[1]
                    await asyncio.sleep(0.1)
        yield process, port
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("collected", [True, False])
async def test_trace_goes_on_to_kafka_and_baggage_does_not(tmp_path: Path, kafka: str, collected: bool) -> None:
    # Nobody listens there: that a span cannot be told to its collector hinders nothing.
    collector = f"http://127.0.0.1:{free_port()}" if collected else ""
    async with running(tmp_path, kafka, collector=collector) as (_, port), httpx2.AsyncClient() as client:
        subject = f"traced-{collected}"
        body = employee_body(subject)
        headers = bamboohr_headers(body, clock.now())
        headers |= {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "a=b"}
        response = await client.post(f"http://127.0.0.1:{port}/hooks/bamboohr", content=body, headers=headers)
        assert response.status_code == 202
    [message] = [it for it in read_all(kafka, EVENTS) if json.loads(it.value).get("subject") == subject]
    _, trace_id, span_id, _ = message.headers["traceparent"].decode().split("-")
    assert trace_id == TRACE
    # Where nobody collects spans none is made, and what is done belongs to the caller's.
    assert (span_id != PARENT) is collected
    assert "baggage" not in message.headers
    assert message.headers["content-type"] == b"application/cloudevents+json"


async def test_sigterm_finishes_what_is_under_way(tmp_path: Path, kafka: str) -> None:
    async with running(tmp_path, kafka) as (process, port):
        body = employee_body("last")
        lines = [f"{name}: {value}" for name, value in bamboohr_headers(body, clock.now()).items()]
        head = "\r\n".join(["POST /hooks/bamboohr HTTP/1.1", "host: a", f"content-length: {len(body)}", *lines, "", ""])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + body[:10])
        await asyncio.sleep(0.3)
        process.terminate()
        await asyncio.sleep(0.5)
        try:
            _, refused = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            pass
        else:
            refused.close()
            raise AssertionError("a new connection was taken after SIGTERM")
        writer.write(body[10:])
        assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 202 ")
        writer.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_start_that_cannot_be_says_why(tmp_path: Path, kafka: str) -> None:
    sources, secrets = write_sources(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = await start(environment(sources, secrets, kafka, taken.getsockname()[1]))
        _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"Address already in use" in said and b"Traceback" not in said
    (secrets / "acme" / "bamboohr-webhook").unlink()
    process = await start(environment(sources, secrets, kafka, 0))
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"sources.bamboohr: tenant acme has no secret" in said and b"Traceback" not in said
