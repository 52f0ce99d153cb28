from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.runtime.secrets.environment import SecretVariables
from factotum.runtime.secrets.errors import UnknownSecret

NOBODY = ""


async def test_names_are_written_in_capitals() -> None:
    variables = SecretVariables(
        {
            "FACTOTUM_SECRET__ACME_EU__IDENTITY_TOKEN": "a",
            "FACTOTUM_SECRET__ACME_EU__USERS__ADA_40ACME_2EEXAMPLE__CALENDAR": "b",
        }
    )
    assert await variables.resolve("acme-eu", "identity-token") == "a"
    assert await variables.resolve("acme-eu", "calendar", user="ada@acme.example") == "b"
    with pytest.raises(UnknownSecret, match=r"the variable FACTOTUM_SECRET__ACME__X_Y$"):
        await variables.resolve("acme", "x.y")
    with pytest.raises(UnknownSecret):
        await variables.resolve("acme-eu", "identity-token", user="ada")


@pytest.mark.parametrize(
    ("tenant", "name"), [("a--b", "c"), ("a", "b__c"), ("a", "users__ada__x"), ("a", "b-"), ("a-", "b")]
)
async def test_what_would_read_as_another_place_has_no_variable(tenant: str, name: str) -> None:
    with pytest.raises(UnknownSecret, match="another name"):
        await SecretVariables({}).resolve(tenant, name)


_names = st.text(alphabet="abzA09_-.", min_size=1, max_size=12)
_tenants = st.text(alphabet="ab0-", min_size=1, max_size=6)
_users = st.one_of(st.just(NOBODY), st.text(alphabet="aA0_-.@%é", min_size=1, max_size=6))


@given(st.lists(st.tuples(_tenants, _names, _users), min_size=2, max_size=8))
def test_no_two_owners_share_a_variable(secrets: list[tuple[str, str, str]]) -> None:
    owners: dict[str, tuple[str, str]] = {}
    for tenant, name, user in secrets:
        try:
            variable = SecretVariables({}).variable(tenant, name, user=user)
        except UnknownSecret:
            continue
        assert owners.setdefault(variable, (tenant, user)) == (tenant, user)


def test_users_are_told_apart_by_every_character() -> None:
    users = ["".join(pair) for pair in product("aA_.-@4", repeat=2)]
    variables = SecretVariables({})
    assert len({variables.variable("acme", "x", user=user) for user in users}) == len(users)
