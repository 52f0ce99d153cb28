"""Which ports a stack gets."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest

from factotum.dev import ports
from factotum.dev.ports import NoFreePort, Reservations, choose

USUAL = {"gateway": {"http": 8080}, "temporal": {"grpc": 7233, "ui": 8233}}


class Taker:
    """Gives every port once, but those that are taken."""

    def __init__(self, taken: Iterable[int] = ()) -> None:
        self.gone = set(taken)

    def __call__(self, port: int) -> bool:
        free = port not in self.gone
        self.gone.add(port)
        return free


def test_the_usual_ports_where_they_are_free() -> None:
    assert choose(USUAL, {}, Taker(), Random(1)) == USUAL


def test_a_free_one_where_the_usual_one_is_taken() -> None:
    chosen = choose(USUAL, {}, Taker([8080]), Random(1))
    assert chosen["temporal"] == USUAL["temporal"]
    assert ports.FREE_RANGE[0] <= chosen["gateway"]["http"] < ports.FREE_RANGE[1]


def test_the_ports_of_last_time_come_first() -> None:
    remembered = {"gateway": {"http": 23456}, "temporal": {"grpc": 7233}, "gone": {"http": 1}}
    chosen = choose(USUAL, remembered, Taker(), Random(1))
    assert chosen == {"gateway": {"http": 23456}, "temporal": {"grpc": 7233, "ui": 8233}}


def test_a_port_of_last_time_that_is_taken_is_replaced_by_the_usual_one() -> None:
    assert choose(USUAL, {"gateway": {"http": 23456}}, Taker([23456]), Random(1)) == USUAL


def test_what_one_part_had_last_time_is_not_given_to_another() -> None:
    remembered = {"temporal": {"grpc": 8080}}
    chosen = choose(USUAL, remembered, Taker(), Random(1))
    assert chosen["temporal"]["grpc"] == 8080
    assert chosen["gateway"]["http"] != 8080


def test_no_free_port_is_an_error() -> None:
    with pytest.raises(NoFreePort):
        choose(USUAL, {}, lambda port: False, Random(1))


def test_a_port_that_somebody_listens_at_cannot_be_had(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not Reservations(tmp_path).take(port)
    assert Reservations(tmp_path).take(port)


def test_two_stacks_never_hold_the_same_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    first, second = Reservations(tmp_path), Reservations(tmp_path)
    assert first.take(port)
    assert not first.take(port)
    assert not second.take(port)
