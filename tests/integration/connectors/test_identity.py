"""The identity connector on scim2-server, and on a scripted server for what that one never answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from factotum.connectors.identity import (
    CLOCK_SKEW,
    IdentitySettings,
    Membership,
    NewUser,
    UserQuery,
    UserRef,
    activate_user,
    add_to_group,
    create_user,
    deactivate_user,
    find_user,
    remove_from_group,
)
from factotum.sdk import lag
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    RateLimited,
    ToolError,
    Unavailable,
)
from tests.integration.connectors.conftest import TOKEN
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import NOW, closed_port, tool_context

SCIM_JSON = {"Content-Type": "application/scim+json"}
_numbers = count(1)


def idp(
    url: str, *, token: str = TOKEN, timeout: float = 5.0, started_at: datetime = NOW, index_seconds: float = 0
) -> ToolContext[IdentitySettings]:
    settings = IdentitySettings(base_url=url, token="secret://token", timeout=timeout, index_seconds=index_seconds)
    return tool_context(settings, started_at=started_at, token=token)


def person(**changes: Any) -> NewUser:
    number = next(_numbers)
    given = {
        "userName": f"ada{number}@acme.example",
        "externalId": f"e-{number}",
        "givenName": "Ada",
        "familyName": "Lovelace",
        "email": f"ada{number}@acme.example",
    }
    return NewUser.model_validate(given | changes)


def refusal(status: int, detail: str, scim_type: str | None = None) -> Answer:
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": str(status), "detail": detail}
    if scim_type:
        body["scimType"] = scim_type
    return Answer(status, json.dumps(body).encode(), SCIM_JSON)


def user(name: str, **more: Any) -> dict[str, Any]:
    schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
    return {"schemas": schemas, "id": name, "userName": name, "externalId": "7", **more}


def listing(*resources: dict[str, Any], total: int | None = None) -> Answer:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(resources) if total is None else total,
        "Resources": resources,
    }
    return Answer(200, json.dumps(body).encode(), SCIM_JSON)


async def stored(url: str, user_id: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        user: dict[str, Any] = (await http.get(f"{url}/Users/{user_id}")).json()
        return user


async def test_creates_an_account(scim_url: str) -> None:
    new = person(givenName="Zoë-Ann", familyName='O\'Neill "Zo" \\ 李', displayName=None)
    account = await create_user.function(new, idp(scim_url))
    assert (account.userName, account.externalId, account.active) == (new.userName, new.externalId, True)
    user = await stored(scim_url, account.id)
    assert user["name"]["familyName"] == new.familyName
    assert user["displayName"] == f"{new.givenName} {new.familyName}"
    assert user["emails"][0]["value"] == new.email
    assert user["externalId"] == new.externalId


async def test_a_taken_user_name_is_a_conflict_in_the_systems_words(scim_url: str) -> None:
    first = person()
    await create_user.function(first, idp(scim_url))
    for other in (first, person(userName=first.userName.upper()), person(userName=first.userName)):
        with pytest.raises(Conflict, match=r"409: .*already in use") as caught:
            await create_user.function(other, idp(scim_url))
        assert caught.value.effect_possible is False


async def test_reconciles_by_external_id_and_user_name(scim_url: str) -> None:
    new = person(externalId='e"1\\ ü', userName="Grace@acme.example")
    assert create_user.reconciler is not None
    assert await create_user.reconciler(new, idp(scim_url)) is None
    account = await create_user.function(new, idp(scim_url))
    assert await create_user.reconciler(new, idp(scim_url)) == account
    same = new.model_copy(update={"userName": "grace@ACME.example"})
    assert await create_user.reconciler(same, idp(scim_url)) == account
    renamed = new.model_copy(update={"userName": "other@acme.example"})
    assert await create_user.reconciler(renamed, idp(scim_url)) is None
    stranger = new.model_copy(update={"externalId": "e-other"})
    assert await create_user.reconciler(stranger, idp(scim_url)) is None


async def test_a_search_that_lags_behind_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_user.reconciler is not None
    monkeypatch.setattr(lag, "INTERVAL_SECONDS", 0.02)
    at = IdentitySettings(base_url="http://127.0.0.1", token="secret://token")
    ours, new = user("ada", meta={"created": NOW.isoformat()}), person(externalId="7", userName="ada")
    async with scripted_http(listing(), listing(), listing(ours)) as server:
        context = tool_context(at.model_copy(update={"base_url": server.url}), token=TOKEN)
        found = await create_user.reconciler(new, context)
    assert found is not None and found.id == "ada"
    async with scripted_http(listing()) as server:
        assert await create_user.reconciler(new, idp(server.url, index_seconds=0.05)) is None
        assert len(server.requests) > 1


async def test_an_account_that_was_there_before_is_not_this_calls(scim_url: str) -> None:
    assert create_user.reconciler is not None
    new, begun = person(), datetime.now(UTC)
    account = await create_user.function(new, idp(scim_url, started_at=begun))
    assert await create_user.reconciler(new, idp(scim_url, started_at=begun)) == account
    assert await create_user.reconciler(new, idp(scim_url, started_at=begun + timedelta(hours=1))) is None


@pytest.mark.parametrize(
    ("created", "ours"),
    [
        (NOW, True),
        (NOW - CLOCK_SKEW, True),
        (NOW - CLOCK_SKEW - timedelta(milliseconds=1), False),
        (NOW + timedelta(days=1), True),
    ],
)
async def test_whose_account_it_is_goes_by_when_it_was_made(created: datetime, ours: bool) -> None:
    assert create_user.reconciler is not None
    async with scripted_http(listing(user("ada", meta={"created": created.isoformat()}))) as server:
        found = await create_user.reconciler(person(externalId="7", userName="ada"), idp(server.url))
    assert (found is not None) is ours


@pytest.mark.parametrize("meta", [{}, {"meta": {"resourceType": "User"}}, {"meta": {"created": "2026-11-24T09:00:00"}}])
async def test_whose_account_it_is_can_be_undecidable(meta: dict[str, Any]) -> None:
    assert create_user.reconciler is not None
    async with scripted_http(listing(user("ada", **meta))) as server:
        with pytest.raises(Ambiguous, match=r"ada.*when it was made"):
            await create_user.reconciler(person(externalId="7", userName="ada"), idp(server.url))


@pytest.mark.parametrize("email", ["bob(fork@acme.example", "bob", "@", "bob@acme@example"])
async def test_an_address_that_is_none_is_refused_before_anything_is_sent(email: str) -> None:
    async with scripted_http() as server:
        with pytest.raises(InvalidArgument, match=r"Email value: .*email address") as caught:
            await create_user.function(person(email=email), idp(server.url))
        assert server.requests == []
    assert "\n" not in caught.value.message and caught.value.effect_possible is False


@pytest.mark.parametrize(
    "answer",
    [refusal(401, "bad token"), refusal(400, "bad filter"), refusal(429, "slow down"), Answer(500), Answer(drop=True)],
)
async def test_what_keeps_from_asking_never_says_that_there_is_no_effect(answer: Answer) -> None:
    assert create_user.reconciler is not None
    async with scripted_http(answer) as server:
        with pytest.raises(Unavailable) as caught:
            await create_user.reconciler(person(), idp(server.url))
    assert caught.value.effect_possible is True
    with pytest.raises(Unavailable) as caught:
        await create_user.reconciler(person(), idp(f"http://127.0.0.1:{closed_port()}"))
    assert caught.value.effect_possible is True


async def test_finds_an_account_with_its_groups(scim_url: str) -> None:
    new = person()
    account = await create_user.function(new, idp(scim_url))
    assert (await find_user.function(UserQuery(externalId=new.externalId), idp(scim_url))).groups == []
    for group in ("everyone", 'R&D "lab"'):
        await add_to_group.function(Membership(userId=account.id, group=group), idp(scim_url))
    for query in (
        UserQuery(userName=new.userName),
        UserQuery(externalId=new.externalId),
        UserQuery(userName=new.userName, externalId=new.externalId),
    ):
        found = await find_user.function(query, idp(scim_url))
        assert (found.id, found.groups) == (account.id, ['R&D "lab"', "everyone"])
    with pytest.raises(NotFound):
        await find_user.function(UserQuery(userName=new.userName, externalId="e-other"), idp(scim_url))


async def test_two_accounts_of_one_employee_are_a_conflict(scim_url: str) -> None:
    new = person()
    await create_user.function(new, idp(scim_url))
    await create_user.function(person(externalId=new.externalId), idp(scim_url))
    with pytest.raises(Conflict, match="2 times"):
        await find_user.function(UserQuery(externalId=new.externalId), idp(scim_url))


def test_a_query_for_nobody_in_particular_is_refused() -> None:
    with pytest.raises(ValidationError):
        UserQuery()


async def test_deactivates_and_activates_however_often(scim_url: str) -> None:
    account = await create_user.function(person(), idp(scim_url))
    for _ in range(2):
        assert (await deactivate_user.function(UserRef(id=account.id), idp(scim_url))).active is False
        assert (await stored(scim_url, account.id))["active"] is False
    for _ in range(2):
        assert (await activate_user.function(UserRef(id=account.id), idp(scim_url))).active is True
        assert (await stored(scim_url, account.id))["active"] is True


@pytest.mark.parametrize("user_id", ["nobody", "../Groups/x", "a/b?c#d"])
async def test_an_unknown_account_is_not_found(scim_url: str, user_id: str) -> None:
    with pytest.raises(NotFound):
        await deactivate_user.function(UserRef(id=user_id), idp(scim_url))


async def test_membership_is_set_and_unset_however_often(scim_url: str) -> None:
    account = await create_user.function(person(), idp(scim_url))
    stays = await create_user.function(person(), idp(scim_url))
    await add_to_group.function(Membership(userId=stays.id, group="engineering"), idp(scim_url))
    membership = Membership(userId=account.id, group="engineering")
    for _ in range(2):
        assert await add_to_group.function(membership, idp(scim_url)) == membership
    assert await members(scim_url, "engineering") == sorted([account.id, stays.id])
    for _ in range(2):
        assert await remove_from_group.function(membership, idp(scim_url)) == membership
    assert await members(scim_url, "engineering") == [stays.id]


async def test_many_at_once_all_become_members(scim_url: str) -> None:
    accounts = await asyncio.gather(*(create_user.function(person(), idp(scim_url)) for _ in range(10)))
    wanted = {account.id for account in accounts}
    await asyncio.gather(
        *(add_to_group.function(Membership(userId=user, group="everyone"), idp(scim_url)) for user in wanted)
    )
    assert wanted <= set(await members(scim_url, "everyone"))


async def test_of_many_at_once_one_creates_the_account(scim_url: str) -> None:
    new = person()
    results = await asyncio.gather(
        *(create_user.function(new, idp(scim_url)) for _ in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Account", *["Conflict"] * 4]


async def members(url: str, group: str) -> list[str]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
        found = (await http.get(f"{url}/Groups", params={"filter": f'displayName eq "{group}"'})).json()
    return sorted(member["value"] for member in found["Resources"][0].get("members", []))


@pytest.mark.parametrize("tool", [add_to_group, remove_from_group])
async def test_a_group_must_be_known_and_be_one(scim_url: str, tool: Any) -> None:
    with pytest.raises(NotFound, match="dancers"):
        await tool.function(Membership(userId="x", group="dancers"), idp(scim_url))
    with pytest.raises(Conflict, match="2 times"):
        await tool.function(Membership(userId="x", group="twice"), idp(scim_url))


async def test_a_wrong_token_is_not_permitted(scim_url: str) -> None:
    with pytest.raises(NotPermitted) as caught:
        await create_user.function(person(), idp(scim_url, token="wr0ng"))
    assert "wr0ng" not in caught.value.message


@pytest.mark.parametrize(
    ("answer", "kind", "words", "effect_possible"),
    [
        (refusal(400, "userName may not hold a space", "invalidValue"), InvalidArgument, "may not hold a space", False),
        (refusal(401, "who are you"), NotPermitted, "who are you", False),
        (refusal(403, "not yours"), NotPermitted, "not yours", False),
        (refusal(409, "ada is taken", "uniqueness"), Conflict, "ada is taken", False),
        (refusal(413, "too large"), InvalidArgument, "too large", False),
        (refusal(429, "slow down"), RateLimited, "slow down", False),
        (refusal(500, "broken"), Unavailable, "broken", True),
        (Answer(502, b"<html>proxy</html>", {"Content-Type": "text/html"}), Unavailable, "502", True),
        (Answer(drop=True), Unavailable, "does not answer", True),
        (Answer(delay=1.0), Unavailable, "does not answer", True),
        (Answer(201, b"<html>", SCIM_JSON), Failed, "cannot be read", True),
        (Answer(201, b"{}", SCIM_JSON), Failed, "cannot be read", True),
        (Answer(204), Failed, "cannot be read", True),
    ],
)
async def test_what_a_refusal_means(answer: Answer, kind: type[ToolError], words: str, effect_possible: bool) -> None:
    async with scripted_http(answer) as server:
        with pytest.raises(ToolError, match=words) as caught:
            await create_user.function(person(), idp(server.url, timeout=0.4))
    assert type(caught.value) is kind
    assert caught.value.effect_possible is effect_possible


async def test_rate_limit_says_how_long() -> None:
    answer = refusal(429, "slow down")
    answer.headers = SCIM_JSON | {"Retry-After": "12"}
    async with scripted_http(answer) as server:
        with pytest.raises(RateLimited) as caught:
            await create_user.function(person(), idp(server.url))
    assert caught.value.retry_after == 12.0


async def test_a_refused_connection_has_no_effect() -> None:
    with pytest.raises(Unavailable) as caught:
        await create_user.function(person(), idp(f"http://127.0.0.1:{closed_port()}/acme/v2"))
    assert caught.value.effect_possible is False


async def test_a_member_that_is_gone_is_no_error_where_the_server_says_no_target() -> None:
    group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "g1", "displayName": "everyone"}
    async with scripted_http(listing(group), refusal(400, "nobody matches", "noTarget")) as server:
        await remove_from_group.function(Membership(userId="u1", group="everyone"), idp(server.url))
    assert [request[0] for request in server.requests] == ["GET", "PATCH"]


async def test_reads_every_page() -> None:
    made = {"created": NOW.isoformat()}
    assert create_user.reconciler is not None
    async with scripted_http(listing(user("a"), user("b"), total=3), listing(user("c", meta=made), total=3)) as server:
        found = await create_user.reconciler(person(externalId="7", userName="c"), idp(server.url))
    assert found is not None
    assert found.id == "c"
    assert "startIndex=3" in server.requests[1][1]
