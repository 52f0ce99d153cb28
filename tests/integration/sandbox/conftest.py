"""The sandbox's servers as the local stack starts them: real processes, with two tenants."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from tests.support.processes import Process, answers_http, free_port, start

TENANTS: dict[str, dict[str, Any]] = {
    name: {
        "identity_token": f"{name}-identity",
        "hr_api_key": f"{name}-hr",
        "calendar_password": f"{name}:calendar",
        "mail_archive_token": f"{name}-archive",
    }
    for name in ("acme", "globex")
}


class Sandbox:
    """Starts servers on one directory, and ends them all in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.tenants = folder / "tenants.yaml"
        self.running: list[Process] = []
        self.write_tenants(TENANTS)

    def write_tenants(self, tenants: dict[str, dict[str, Any]]) -> None:
        self.tenants.write_text(yaml.safe_dump({"tenants": tenants}), encoding="utf-8")

    def argv(self, name: str, port: int, *more: str) -> list[str]:
        module = f"factotum.dev.sandbox.{name}"
        given = ["--port", str(port), "--data", str(self.data), "--tenants", str(self.tenants)]
        return [sys.executable, "-m", module, *given, *more]

    async def start(self, name: str, port: int, *more: str, health: str, status: int = 200) -> Process:
        argv = self.argv(name, port, *more)
        process = await start(argv, answers_http(health, status), log=self.folder / f"{name}.log")
        self.running.append(process)
        return process

    async def scim(self, port: int) -> Process:
        return await self.start("scim", port, health=f"http://127.0.0.1:{port}/healthz")

    async def hr(self, port: int) -> Process:
        return await self.start("hr", port, health=f"http://127.0.0.1:{port}/healthz")

    async def mail(self, port: int, archive_port: int) -> Process:
        more = ("--archive-port", str(archive_port))
        return await self.start("mail", port, *more, health=f"http://127.0.0.1:{archive_port}/healthz")

    async def calendar(self, port: int) -> Process:
        health = f"http://127.0.0.1:{port}/.well-known/caldav"
        return await self.start("calendar", port, health=health, status=301)


@pytest_asyncio.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(tmp_path)
    try:
        yield sandbox
    finally:
        for process in sandbox.running:
            await process.stop()


@pytest.fixture
def port() -> int:
    return free_port()


Ending = Callable[[Process], Awaitable[Any]]
ENDINGS: list[Ending] = [Process.stop, Process.kill]


@pytest_asyncio.fixture(scope="module")
async def hr(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[int]:
    """The port of one HR system for the tests of a module that do not mind each other."""
    sandbox, port = Sandbox(tmp_path_factory.mktemp("hr")), free_port()
    process = await sandbox.hr(port)
    try:
        yield port
    finally:
        await process.stop()
