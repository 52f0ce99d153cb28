"""Measures, beside figures worked out by hand."""

import math

import pytest

from factotum.memory.bench import measures


def test_recall_is_the_share_of_what_is_relevant() -> None:
    assert measures.recall("abcd", {"b", "x"}, 2) == 0.5
    assert measures.recall("abcd", {"b", "c"}, 1) == 0
    assert measures.recall("", {"a"}, 5) == 0


def test_ndcg_is_one_for_the_best_order_and_falls_with_the_place() -> None:
    assert measures.ndcg("ab", {"a", "b"}, 10) == pytest.approx(1)
    assert measures.ndcg("xa", {"a"}, 10) == pytest.approx(1 / math.log2(3))
    assert measures.ndcg("xa", {"a"}, 1) == 0


def test_groups_come_in_the_order_of_their_first() -> None:
    assert measures.groups("abcd", {"a": "g", "b": "h", "c": "g", "d": ""}) == ["g", "h"]


def test_percentiles_are_values_that_were_measured() -> None:
    assert measures.percentile([3, 1, 2], 0.5) == 2
    assert measures.percentile([3, 1, 2], 0.99) == 3
    assert measures.percentile([1], 0.5) == 1
