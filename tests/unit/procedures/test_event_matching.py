"""Which events a filter means, what of it is known beforehand, and what ties events together."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.procedures import event_matching, expressions
from factotum.procedures.consumption import EventFilter
from factotum.procedures.event_matching import agrees, constant_part, correlation_keys, listened_to, takes
from factotum.procedures.expressions import ExpressionError, TooCostly

EVENT = {
    "source": "/rooms",
    "type": "room.measured",
    "subject": "12",
    "roomid": 12,
    "data": {"temperature": 21.5, "unit": "C", "on": True, "tags": ["a"]},
}


async def no_costly(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
    raise ExpressionError(f"{program} was not expected to be costly")


@pytest.mark.parametrize(
    ("with_", "expected"),
    [
        ({"type": "room.measured"}, True),
        ({"type": "room.(measured|left)"}, True),
        ({"type": "room-measured"}, False),
        ({"type": "["}, False),
        ({"type": "room"}, False),
        ({"type": "room.|measured"}, False),
        ({"type": r"room[.]\w{8}"}, True),
        ({"type": 'room"|room.measured'}, True),
        ({"type": r"(room.measured\)"}, False),
        ({"roomid": "1+"}, False),
        ({"absent": "x"}, False),
        ({"roomid": 12}, True),
        ({"roomid": "12"}, False),
        ({"data": {"temperature": 21.5}}, True),
        ({"data": {"on": 1}}, False),
        ({"data": {"tags": ["a"]}}, True),
        ({"data": "${ .temperature > 20 }"}, True),
        ({"data": "${ .temperature > 30 }"}, False),
        ({"data": {"temperature": "${ . > 20 }", "unit": "C"}}, True),
        ({"data": {"temperature": "${ . > 20 }", "unit": "F"}}, False),
        # What is neither true nor false is the wanted value.
        ({"subject": "${ $input.room }"}, True),
        ({"subject": "${ $input.other }"}, False),
        ({"roomid": "${ $input.room | tonumber }"}, True),
        ({"subject": "${ $nowhere }"}, False),
        ({"subject": "${ .a.b.c }"}, False),
    ],
)
async def test_what_a_filter_takes(with_: dict[str, Any], expected: bool) -> None:
    wanted = EventFilter.model_validate({"with": with_})
    assert await takes(wanted, EVENT, {"input": {"room": "12", "other": "13"}}, no_costly) is expected
    if expected:
        assert agrees(constant_part(with_), EVENT)


async def test_constants_are_looked_at_before_anything_is_evaluated() -> None:
    wanted = EventFilter.model_validate({"with": {"data": "${ nonsense( }", "type": "other"}})
    assert await takes(wanted, EVENT, {}, no_costly) is False


def test_the_constant_part_leaves_out_expressions_only() -> None:
    with_ = {
        "type": "t",
        "data": {"a": 1, "b": "${ . > 1 }", "c": {"d": "${ . }"}},
        "subject": "${ . }",
        "e": ["${ . }"],
    }
    assert constant_part(with_) == {"type": "t", "data": {"a": 1, "c": {}}}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just("${ true }"),
    lambda inner: st.dictionaries(st.text(max_size=2), inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=2), values, min_size=1, max_size=3), st.dictionaries(st.text(max_size=2), values)
)
def test_the_constant_part_takes_what_the_filter_takes(with_: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Else the planner would keep an event from a run that wants it."""
    for event in (attributes, with_):
        if asyncio.run(takes(EventFilter.model_validate({"with": with_}), event, {}, no_costly)):
            assert agrees(constant_part(with_), event)


async def test_what_is_costly_is_left_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def never_cheap(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        raise TooCostly(program, value, arguments)

    async def costly(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        asked.append((program, value))
        return True

    monkeypatch.setattr(expressions, "run_cheap", never_cheap)
    wanted = EventFilter.model_validate({"with": {"data": "${ .on }"}, "correlate": {"room": {"from": ".roomid"}}})
    assert await takes(wanted, EVENT, {}, costly) is True
    assert await correlation_keys(wanted, EVENT, value=None, arguments={}, costly=costly) == {"room": True}
    assert asked == [(".on", EVENT["data"]), (".roomid", EVENT)]


@pytest.mark.timeout(10)
async def test_a_pattern_that_tries_for_ever_is_left_to_the_caller() -> None:
    asked = []

    async def costly(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
        asked.append((program, value))
        return False

    with_ = {"subject": "((a+)+)+b"}
    event = {"subject": "a" * 40}
    assert await takes(EventFilter.model_validate({"with": with_}), event, {}, costly) is False
    assert asked == [(r'test("\\A(?:((a+)+)+b)\\z")', event["subject"])]
    assert agrees(with_, event)  # not known without running it


def test_what_a_document_listens_to_is_found_wherever_it_stands() -> None:
    one = {"listen": {"to": {"one": {"with": {"type": "a", "data": "${ .x }"}, "correlate": {"k": {"from": ".k"}}}}}}
    some = {"listen": {"to": {"any": [{"with": {"type": "b"}}], "until": {"all": [{"with": {"type": "c"}}]}}}}
    document = {
        "use": {"functions": {"f": some}, "extensions": [{"e": {"extend": "all", "before": [{"x": one}]}}]},
        "do": [
            {"listen": {"set": {"a": 1}}},
            {"t": {"try": [{"x": one}], "catch": {"do": [{"y": {"do": [{"z": some}]}}]}}},
        ],
    }
    assert listened_to(document) == [{"type": "b"}, {"type": "c"}, {"type": "a"}]
    assert listened_to({"do": [{"a": {"set": {"x": 1}}}]}) == []


@pytest.mark.parametrize("to", [{"any": []}, {"one": {"with": {"data": "${ .x }"}}}])
def test_a_listener_of_which_nothing_is_known_hears_everything(to: dict[str, Any]) -> None:
    narrow = {"listen": {"to": {"one": {"with": {"type": "a"}}}}}
    assert listened_to({"do": [{"a": narrow}, {"b": {"listen": {"to": to}}}]}) == [{}]
    assert agrees({}, EVENT)


@pytest.mark.parametrize(
    ("correlate", "expected"),
    [
        ({}, {}),
        ({"room": {"from": ".roomid"}}, {"room": 12}),
        ({"room": {"from": "${ .data.unit }"}}, {"room": "C"}),
        ({"room": {"from": ".nowhere"}}, None),
        ({"room": {"from": ".data.unit.x"}}, None),
        ({"room": {"from": ".roomid", "expect": "12"}}, {}),
        ({"room": {"from": ".roomid", "expect": "13"}}, None),
        ({"room": {"from": ".roomid", "expect": "${ .order.room }"}}, {}),
        ({"room": {"from": ".subject", "expect": "${ .order.room }"}}, None),
        ({"room": {"from": ".subject"}, "on": {"from": ".data.on", "expect": "true"}}, {"room": "12"}),
    ],
)
async def test_what_ties_an_event_to_others(correlate: dict[str, Any], expected: dict[str, Any] | None) -> None:
    wanted = EventFilter.model_validate({"with": {"type": "room.measured"}, "correlate": correlate})
    found = await correlation_keys(wanted, EVENT, value={"order": {"room": 12}}, arguments={}, costly=no_costly)
    assert found == expected


def test_true_is_not_one() -> None:
    assert event_matching.same(1, 1.0)
    assert not event_matching.same(True, 1)
