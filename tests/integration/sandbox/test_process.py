"""What all servers of the sandbox do alike."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Any

import httpx2
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


@pytest.mark.parametrize("name", ["scim", "hr"])
async def test_a_request_under_way_is_finished(sandbox: Sandbox, name: str, port: int) -> None:
    process = await started(sandbox, name, port)
    async with httpx2.AsyncClient() as http:
        answers = [asyncio.create_task(http.get(f"http://127.0.0.1:{port}/healthz")) for _ in range(5)]
        await asyncio.gather(*answers)
        assert await process.stop() == 0
