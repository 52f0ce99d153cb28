"""The table of the parts holds together."""

from __future__ import annotations

import importlib.util
from itertools import chain

import pytest

from factotum.dev import parts
from factotum.dev.part import Part, fill, port_values
from factotum.dev.state import Kafka
from factotum.runs import attributes

CHOICES: tuple[Kafka, ...] = ("embedded", "apache")


def values(declared: tuple[Part, ...]) -> dict[str, str]:
    own = {"data": "/d", "cache": "/c", "python": "python3", "temporal": "temporal", "kafka.embedded": "true"}
    return {**port_values({part.name: part.ports for part in declared}), **own, "kafka": "127.0.0.1:9092"}


@pytest.mark.parametrize("kafka", CHOICES)
def test_every_blank_can_be_filled(kafka: Kafka) -> None:
    declared = parts.stack(kafka)
    known = values(declared)
    for part in declared:
        texts = chain(
            part.command, part.environment.values(), part.defaults.values(), part.addresses.values(), [part.probe]
        )
        for text in texts:
            assert "{" not in fill(text, known)


@pytest.mark.parametrize("kafka", CHOICES)
def test_whoever_needs_a_part_comes_after_it(kafka: Kafka) -> None:
    seen: set[str] = set()
    for part in parts.stack(kafka):
        assert set(part.needs) <= seen
        seen.add(part.name)


@pytest.mark.parametrize("kafka", CHOICES)
def test_no_two_parts_usually_have_the_same_port(kafka: Kafka) -> None:
    usual = [port for part in parts.stack(kafka) for port in part.ports.values()]
    assert len(usual) == len(set(usual))


def test_every_python_part_is_a_module_that_exists() -> None:
    for part in (*parts.stack("embedded")[1:], parts.KAFKA_APACHE):
        assert part.command[:2] == ("{python}", "-m")
        assert importlib.util.find_spec(part.command[2]) is not None


def test_only_a_part_that_keeps_nothing_where_something_should_be_kept_is_volatile() -> None:
    assert [part.name for part in parts.stack("embedded") if part.volatile] == ["kafka"]
    assert [part.name for part in parts.stack("apache") if part.volatile] == []
    assert "in memory" in parts.KAFKA_EMBEDDED.note


def test_temporal_gets_the_search_attributes_that_runs_set() -> None:
    given = {word.removesuffix("=Keyword") for word in parts.TEMPORAL.command if word.endswith("=Keyword")}
    assert given == {key.name for key in attributes.ALL}


def test_a_blank_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"planner\.grpc"):
        fill("{planner.grpc}", {})
