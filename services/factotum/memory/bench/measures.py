"""How good an order is. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence


def recall(order: Sequence[str], relevant: Collection[str], depth: int) -> float:
    """Which share of what is relevant is among the first `depth`."""
    return len(set(order[:depth]) & set(relevant)) / len(relevant)


def ndcg(order: Sequence[str], relevant: Collection[str], depth: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen 2002), all that is relevant weighing the same."""
    gained = sum(1 / math.log2(place + 2) for place, each in enumerate(order[:depth]) if each in relevant)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(depth, len(relevant))))


def groups(order: Iterable[str], group_of: dict[str, str]) -> list[str]:
    """The groups in the order in which the first of each comes; what is in no group is left out."""
    return list(dict.fromkeys(group for each in order if (group := group_of.get(each, ""))))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]
