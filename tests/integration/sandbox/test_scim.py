"""The SCIM server of the sandbox, over its own protocol."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.integration.sandbox.conftest import ENDINGS, Ending, Sandbox

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def client(port: int, tenant: str = "acme", token: str | None = None) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {token or f'{tenant}-identity'}", "Content-Type": "application/scim+json"}
    return httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}/{tenant}/v2/", headers=headers)


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"schemas": [USER], "userName": name, "emails": [{"value": name, "type": "work", "primary": True}], **more}


async def find(http: httpx2.AsyncClient, kind: str, expression: str) -> list[dict[str, Any]]:
    response = await http.get(kind, params={"filter": expression})
    response.raise_for_status()
    found: list[dict[str, Any]] = response.json().get("Resources", [])
    return found


def patch(op: str, path: str, value: Any) -> dict[str, Any]:
    return {"schemas": [PATCH], "Operations": [{"op": op, "path": path, "value": value}]}


async def test_users_are_made_found_and_changed(sandbox: Sandbox, port: int) -> None:
    await sandbox.scim(port)
    async with client(port) as http:
        made = await http.post("Users", json=user("ada@acme.example", externalId="7"))
        assert made.status_code == 201
        assert made.headers["Location"] == f"http://127.0.0.1:{port}/acme/v2/Users/{made.json()['id']}"
        assert [found["id"] for found in await find(http, "Users", 'externalId eq "7"')] == [made.json()["id"]]
        assert await find(http, "Users", 'externalId eq "8"') == []
        await http.patch(f"Users/{made.json()['id']}", json=patch("replace", "active", False))
        assert (await http.get(f"Users/{made.json()['id']}")).json()["active"] is False


async def test_a_user_name_is_given_once(sandbox: Sandbox, port: int) -> None:
    await sandbox.scim(port)
    async with client(port) as http:
        tries = [http.post("Users", json=user(name)) for name in ["ada@acme.example", "ADA@acme.example"] * 3]
        codes = sorted(response.status_code for response in await asyncio.gather(*tries))
        assert codes == [201, 409, 409, 409, 409, 409]
        again = await http.post("Users", json=user("ada@acme.example"))
        assert again.json()["scimType"] == "uniqueness"
        assert len(await find(http, "Users", "userName pr")) == 1
    async with client(port, "globex") as http:
        assert (await http.post("Users", json=user("ada@acme.example"))).status_code == 201


async def test_the_groups_are_there(sandbox: Sandbox, port: int) -> None:
    await sandbox.scim(port)
    for tenant in ("acme", "globex"):
        async with client(port, tenant) as http:
            names = sorted(group["displayName"] for group in await find(http, "Groups", "displayName pr"))
            assert names == ["engineering", "everyone", "finance", "people", "sales"]


@pytest.mark.parametrize("end", ENDINGS)
async def test_state_outlives_the_process(sandbox: Sandbox, port: int, end: Ending) -> None:
    process = await sandbox.scim(port)
    async with client(port) as http:
        [group] = await find(http, "Groups", 'displayName eq "sales"')
        names = [f"p{number}@acme.example" for number in range(5)]
        made = [(await http.post("Users", json=user(name, externalId=name))).json() for name in names]
        await http.patch(f"Groups/{group['id']}", json=patch("add", "members", [{"value": made[0]["id"]}]))
        await http.patch(f"Users/{made[1]['id']}", json=patch("replace", "active", False))
        await http.delete(f"Users/{made[2]['id']}")
        kinds = ("Users", "Groups")
        before = {kind: sorted((await http.get(kind)).json()["Resources"], key=str) for kind in kinds}
        await end(process)

        await sandbox.scim(port)
        after = {kind: sorted((await http.get(kind)).json()["Resources"], key=str) for kind in kinds}
        assert after == before
        assert len(after["Groups"]) == 5
        assert len(after["Users"]) == 4
        assert (await http.post("Users", json=user(names[0]))).status_code == 409
        assert (await http.post("Users", json=user(names[2]))).status_code == 201
        [group] = await find(http, "Groups", f'members.value eq "{made[0]["id"]}"')
        assert group["displayName"] == "sales"


async def test_a_version_is_not_given_twice(sandbox: Sandbox, port: int) -> None:
    process = await sandbox.scim(port)
    async with client(port) as http:
        made = (await http.post("Users", json=user("ada@acme.example"))).json()
        versions = [made["meta"]["version"]]
        for title in "abc":
            await process.kill()
            process = await sandbox.scim(port)
            await http.patch(f"Users/{made['id']}", json=patch("replace", "title", title))
            versions.append((await http.get(f"Users/{made['id']}")).json()["meta"]["version"])
    assert len(set(versions)) == 4


async def test_only_the_tenants_own_token_is_taken(sandbox: Sandbox, port: int) -> None:
    await sandbox.scim(port)
    async with client(port) as acme:
        made = (await acme.post("Users", json=user("ada@acme.example"))).json()
    for token in ("wrong", "globex-identity", "acme-identit", "acme-identityy"):
        async with client(port, token=token) as http:
            for path in ("Users", f"Users/{made['id']}", "Groups", "Schemas"):
                refused = await http.get(path)
                assert refused.status_code == 401
                assert refused.headers["WWW-Authenticate"].startswith("Bearer")
            assert (await http.post("Users", json=user("eve@acme.example"))).status_code == 401
            assert (await http.delete(f"Users/{made['id']}")).status_code == 401
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/acme/v2/Users")).status_code == 401
        assert (await http.get("/nobody/v2/Users")).status_code == 404
    async with client(port, "globex") as globex:
        assert (await globex.get(f"Users/{made['id']}")).status_code == 404
        assert await find(globex, "Users", "userName pr") == []
