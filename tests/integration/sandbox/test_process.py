"""What all servers of the sandbox do alike."""

from __future__ import annotations

import asyncio
import base64
import errno
import json
import os
import socket
from typing import Any

import pytest

from tests.integration.sandbox.conftest import TENANTS, Sandbox
from tests.support.processes import DidNotStart, free_port

NAMES = ["scim", "hr", "mail", "calendar"]


async def started(sandbox: Sandbox, name: str, port: int) -> Any:
    return await (sandbox.mail(port, free_port()) if name == "mail" else getattr(sandbox, name)(port))


@pytest.mark.parametrize("name", NAMES)
async def test_ends_with_status_0_when_asked(sandbox: Sandbox, name: str, port: int) -> None:
    process = await started(sandbox, name, port)
    assert await process.stop() == 0


@pytest.mark.parametrize("name", NAMES)
async def test_a_port_that_is_taken_is_said_and_status_1(sandbox: Sandbox, name: str) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(DidNotStart, match="ended with 1") as caught,
    ):
        await started(sandbox, name, taken.getsockname()[1])
    assert os.strerror(errno.EADDRINUSE) in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
async def test_a_bad_tenants_file_is_said_without_its_secrets(sandbox: Sandbox, name: str, port: int) -> None:
    acme = {**TENANTS["acme"], "hr_api_key": 1234567}
    sandbox.write_tenants({"acme": acme})
    with pytest.raises(DidNotStart, match="ended with 1") as caught:
        await started(sandbox, name, port)
    assert "tenants.acme.hr_api_key" in str(caught.value)
    assert "1234567" not in str(caught.value)


async def test_a_request_under_way_is_finished(sandbox: Sandbox, port: int) -> None:
    process = await sandbox.hr(port)
    body = json.dumps({"firstName": "Ada", "lastName": "Lovelace"}).encode()
    key = base64.b64encode(b"acme-hr:x").decode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /api/gateway.php/acme/v1/employees/ HTTP/1.1\r\nHost: h\r\nAuthorization: Basic {key}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    await writer.drain()
    await asyncio.sleep(0.3)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(0.5)
    writer.write(body[5:])
    assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()
    assert await stopping == 0
