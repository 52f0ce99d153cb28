"""The real servers the connectors are tried on: scim2-server and Radicale, each a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
import pytest_asyncio

from tests.support.jira import Jira, jira_site
from tests.support.tool_calls import closed_port

TOKEN = "scim-t0ken"
PASSWORD = "pa:ss wörd"


@asynccontextmanager
async def listening(*command: str, port: int) -> AsyncIterator[None]:
    """Runs a command until the block ends; enters the block once its port answers."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(30):
            while True:
                if process.returncode is not None:
                    raise RuntimeError(f"{command[0]} ended with {process.returncode}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


@pytest_asyncio.fixture(scope="session")
async def scim_url() -> AsyncIterator[str]:
    """Base URL of a SCIM server for tenant acme with the groups everyone, engineering and R&D "lab"."""
    port = closed_port()
    program = "from scim2_server.testserver.cli import main; main()"
    command = (sys.executable, "-c", program, "--port", str(port), "--tenant", "acme", "--bearer-token", TOKEN)
    async with listening(*command, port=port):
        url = f"http://127.0.0.1:{port}/acme/v2"
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
            for name in ("everyone", "engineering", 'R&D "lab"', "twice", "twice"):
                group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name}
                (await http.post(f"{url}/Groups", json=group)).raise_for_status()
        yield url


@pytest_asyncio.fixture(scope="session")
async def caldav_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Address of the home of the principal acme on a CalDAV server."""
    folder = tmp_path_factory.mktemp("radicale")
    (folder / "users").write_text(f"acme:{PASSWORD}\n", encoding="utf-8")
    port = closed_port()
    options = [
        f"--server-hosts=127.0.0.1:{port}",
        "--auth-type=htpasswd",
        f"--auth-htpasswd-filename={folder / 'users'}",
        "--auth-htpasswd-encryption=plain",
        "--auth-delay=0",
        f"--storage-filesystem-folder={folder / 'collections'}",
    ]
    async with listening(sys.executable, "-m", "radicale", "--config", "", *options, port=port):
        yield f"http://127.0.0.1:{port}/acme/"


@pytest_asyncio.fixture(scope="module")
async def jira_server() -> AsyncIterator[Jira]:
    async with jira_site() as made:
        yield made


@pytest.fixture
def jira(jira_server: Jira) -> Iterator[Jira]:
    jira_server.requests.clear()
    yield jira_server
    kept = Jira(url=jira_server.url, numbers=jira_server.numbers)
    jira_server.__dict__.update(kept.__dict__)
