"""JSON as Cedar has it: exactly, or not at all."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from cedarpy import Entities
from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.tool_executor.policy import arguments
from factotum.tool_executor.policy.arguments import VIEWS
from factotum.tool_executor.policy.needs import Mention
from factotum.tool_executor.policy.policies import schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b/c", "~", "", "__entity", "__extn", "type", "id"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "views"),
    [
        ("x", {"texts": "x"}),
        ("", {"texts": ""}),
        (True, {"flags": True}),
        (False, {"flags": False}),
        (0, {"numbers": 0, "decimals": "0.0000"}),
        (2**63 - 1, {"numbers": 2**63 - 1}),
        (-(2**63), {"numbers": -(2**63)}),
        (2**63, {}),
        (10**400, {}),
        (5.0, {"numbers": 5, "decimals": "5.0000"}),
        (-0.5, {"decimals": "-0.5000"}),
        (1.2345, {"decimals": "1.2345"}),
        (1.23456, {}),
        (1e-300, {}),
        (1e300, {}),
        (922337203685477.5, {"decimals": "922337203685477.5000"}),
        (922337203685478, {"numbers": 922337203685478}),
        ([], {"lists": []}),
        (["x", "y"], {"lists": ["x", "y"]}),
        (["x", 1], {}),
        ("\ud800", {}),
        (["\ud800"], {}),
        (None, {}),
        ({"__entity": {"type": "Group", "id": "acme/it"}}, {}),
    ],
)
def test_a_value_is_among_what_can_hold_it_exactly(value: Any, views: dict[str, Any]) -> None:
    found = {view: arguments.valued({"it": value}, Mention(view, "it")) for view in VIEWS}
    plain = {
        view: one["__extn"]["arg"] if view == "decimals" else one for view, one in found.items() if one is not None
    }
    assert plain == views


def test_a_path_leads_into_objects_and_lists() -> None:
    given = {"a": {"b/c": [{"~d": 1}, 2]}, "": 3}
    paths = ["a/b~1c/0/~0d", "a/b~1c/1", "", "a/b~1c/2", "a/b~1c/-1", "a/b~1c/²", "a/b~1c/" + "9" * 5000, "x", "a/b/c"]
    assert [arguments.found(given, path) for path in paths] == [1, 2, 3, None, None, None, None, None, None]


@settings(deadline=None)
@given(value=JSON, path=st.sampled_from(["a", "b~1c", "~0", "__entity", "a/0", "a/__entity", ""]))
def test_whatever_the_arguments_are_cedar_takes_them_and_nothing_of_them_is_more_than_data(
    value: Any, path: str
) -> None:
    mentions = [Mention(view, path) for view in VIEWS]
    made = arguments.entities({"a": value, "b/c": value, "~": value, "__entity": value, "": value}, mentions)
    entities = Entities.from_json_str(json.dumps(made), schema())
    assert len(entities) == len(VIEWS) + 7  # the actions of the schema
    assert {one["uid"]["type"] for one in made} == set(VIEWS.values())
    assert not any(one["parents"] for one in made)


@given(value=st.integers(-(10**15), 10**15) | st.floats(-1e9, 1e9, allow_nan=False))
def test_a_decimal_is_the_number_itself(value: float) -> None:
    found = arguments.valued({"it": value}, Mention("decimals", "it"))
    if found is not None:
        assert Decimal(found["__extn"]["arg"]) == Decimal(str(value))
