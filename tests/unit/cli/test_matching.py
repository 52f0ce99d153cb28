"""Which waiting call is meant by a few letters."""

from __future__ import annotations

import pytest

from factotum.cli.approvals import matching
from factotum.cli.errors import BadInput, CommandError

WAITING = [
    {"step": "/do/0/order", "iteration": ""},
    {"step": "/do/1/orderAgain", "iteration": ""},
    {"step": "/do/2/loop/do/0/pay", "iteration": "0"},
    {"step": "/do/2/loop/do/0/pay", "iteration": "1"},
]


@pytest.mark.parametrize(
    ("step", "iteration", "index"),
    [
        ("/do/0/order", "", 0),
        ("order", "", 0),
        ("orderA", "", 1),
        ("/do/1", "", 1),
        ("pay", "1", 3),
        ("/do/2/loop/do/0/pay", "0", 2),
    ],
)
def test_the_step_is_named_by_pointer_name_or_the_beginning_of_either(step: str, iteration: str, index: int) -> None:
    assert matching(WAITING, step, iteration) is WAITING[index]


@pytest.mark.parametrize("step", ["ord", "/do", "pay", "/do/2/loop/do/0/pay"])
def test_what_may_be_several_is_not_guessed(step: str) -> None:
    with pytest.raises(BadInput, match="may be any of"):
        matching(WAITING, step, "")


def test_what_does_not_wait_is_told_with_what_does() -> None:
    with pytest.raises(CommandError, match=r"what waits: /do/0/order, .*pay \[1\]"):
        matching(WAITING, "hire", "")
    with pytest.raises(CommandError, match="what waits: nothing"):
        matching([], "order", "")
