"""A digest of all that is reached from a node of a graph, in as many steps as the graph has edges. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, MutableMapping, Sequence
from typing import TypeVar

N = TypeVar("N", bound=Hashable)


def mark(
    root: N, known: MutableMapping[N, str], *, further: Callable[[N], Sequence[N]], told: Callable[[N], str]
) -> None:
    """Adds the digests of the root and of all that it reaches, in whatever order roots are given.

    Nodes that reach each other have one digest: of what each says, and of the digests that they lead to. So those
    groups are found as they close (R. Tarjan, Depth-first search and linear graph algorithms, 1972).

    Args:
        told: what counts of a node itself.
    """
    if root in known:
        return
    numbers: dict[N, int] = {root: 0}
    lowest: dict[N, int] = {root: 0}
    open_ones: list[N] = [root]
    path: list[tuple[N, Iterator[N]]] = [(root, iter(further(root)))]
    while path:
        node, rest = path[-1]
        for one in rest:
            if one in known:
                continue
            if one not in numbers:
                numbers[one] = lowest[one] = len(numbers)
                open_ones.append(one)
                path.append((one, iter(further(one))))
                break
            lowest[node] = min(lowest[node], numbers[one])
        else:
            path.pop()
            if path:
                above = path[-1][0]
                lowest[above] = min(lowest[above], lowest[node])
            if lowest[node] == numbers[node]:
                _close(node, open_ones, known, further, told)


def _close(
    first: N,
    open_ones: list[N],
    known: MutableMapping[N, str],
    further: Callable[[N], Sequence[N]],
    told: Callable[[N], str],
) -> None:
    group = [open_ones.pop()]
    while group[-1] != first:
        group.append(open_ones.pop())
    led_to = {known[one] for node in group for one in further(node) if one in known}
    lines = [*sorted(map(told, group)), "", *sorted(led_to)]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    known.update(dict.fromkeys(group, digest))
