"""Digests of all that is reached."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from factotum.tool_executor.sources.openapi import reaching

Graph = Mapping[int, Sequence[int]]


def digests(graph: Graph, roots: Sequence[int]) -> dict[int, str]:
    known: dict[int, str] = {}
    for root in roots:
        reaching.mark(root, known, further=lambda node: graph[node], told=str)
    return known


def reached(graph: Graph, root: int) -> frozenset[int]:
    found, waiting = {root}, [root]
    while waiting:
        for one in graph[waiting.pop()]:
            if one not in found:
                found.add(one)
                waiting.append(one)
    return frozenset(found)


def test_two_nodes_have_one_digest_if_they_reach_each_other_whatever_was_asked_first() -> None:
    chance = random.Random(7)
    for _ in range(200):
        size = chance.randint(1, 9)
        graph = {node: [chance.randrange(size) for _ in range(chance.randint(0, 2))] for node in range(size)}
        order = chance.sample(range(size), size)
        known = digests(graph, order)
        assert known == digests(graph, range(size))
        for one in graph:
            for other in graph:
                together = other in reached(graph, one) and one in reached(graph, other)
                assert (known[one] == known[other]) is together, graph


def test_a_path_longer_than_the_stack() -> None:
    graph: Graph = {node: [node + 1] if node < 20_000 else [] for node in range(20_001)}
    assert len({*digests(graph, [0]).values()}) == 20_001
