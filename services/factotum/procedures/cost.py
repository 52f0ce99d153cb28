"""What evaluating one node of a jq program costs at most, and how such costs combine.

The size of a value: 1 for each scalar, array, object and key, and 1 more for each 16 characters. Work is
counted in steps of about 100 ns. What is not known to be bounded is `UNBOUNDED`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from factotum.procedures import syntax
from factotum.procedures.bounds import INPUT, ONE, SIZE, UNBOUNDED, ZERO, Bound, Stream, constant

STEP = constant(2)
# Copying or comparing one node takes some nanoseconds, far less than a step.
COPY = 0.15
# Reading the input and giving the result back, for each node.
CONVERSION = 8
# The longest text of one node, and what its characters are as nodes of their own.
CHARACTERS = 16.0
# How much longer a value's JSON may be than the value, and the same encoded (`@uri` writes three for each byte).
FORMATTED = 8.0
ENCODED = 13.0


@dataclass(frozen=True, slots=True)
class Guard:
    """A check in the program's text that halts it when a value is not what its cost was counted for."""

    start: int
    end: int
    condition: str
    before: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """For one input of the size `SIZE`: the stream of results, and the work until all are there.

    Attributes:
        peak: the size of the largest value on the way, which an error may carry.
        kind: what every result is: a number, an atom (number, boolean, null) or anything.
        most: how large a number among the results may be, if it is known.
    """

    out: Stream
    work: Bound
    peak: Bound
    kind: str = "any"
    most: Bound | None = None


def atoms(work: Bound, kind: str = "atom", most: Bound | None = None, count: Bound = ONE) -> Cost:
    return Cost(Stream(count, ONE, count), work, ONE, kind, most)


def one(each: Bound, work: Bound) -> Cost:
    return Cost(Stream(ONE, each, each), work, each)


UNKNOWN = Cost(Stream(UNBOUNDED, UNBOUNDED, UNBOUNDED), UNBOUNDED, UNBOUNDED)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a variable or of the input."""

    size: Bound
    kind: str = "any"


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known where a node stands."""

    input: Known
    variables: Mapping[str, Known]

    def reading(self, kind: str) -> Scope:
        """Where the input is what the node before has given."""
        return Scope(Known(ONE if kind != "any" else SIZE, kind), self.variables)

    def binding(self, names: tuple[str, ...], known: Known) -> Scope:
        return Scope(self.input, {**self.variables, **dict.fromkeys(names, known)})


def through(first: Cost, inner: Cost) -> Cost:
    """A cost for every result of another."""
    out, each = inner.out, first.out.each
    stream = Stream(out.count.over(INPUT, first.out), out.each.at(INPUT, each), out.total.over(INPUT, first.out))
    work = first.work + inner.work.over(INPUT, first.out) + first.out.count
    most = None if inner.most is None else inner.most.at(INPUT, each)
    return Cost(stream, work, first.peak.or_(inner.peak.at(INPUT, each)), inner.kind, most)


def product(costs: Sequence[Cost]) -> Cost:
    """All combinations of the results of some nodes, each as large as its parts together."""
    count, total, each, work, peak = ONE, ZERO, ZERO, ZERO, ONE
    for cost in costs:
        total = total * cost.out.count + cost.out.total * count
        work = work * cost.out.count + cost.work * count
        count = count * cost.out.count
        each = each + cost.out.each
        peak = peak.or_(cost.peak)
    return Cost(Stream(count, each, total), work + STEP * count, peak.or_(each))


def repeated(cost: Cost, times: Cost) -> Cost:
    """A cost for every result of another that it does not read."""
    count, out = times.out.count, cost.out
    stream = Stream(out.count * count, out.each, out.total * count)
    return Cost(stream, cost.work * count + times.work + STEP, cost.peak.or_(times.peak), cost.kind, cost.most)


def either(left: Cost, right: Cost) -> Cost:
    """One of two costs."""
    a, b = left.out, right.out
    return Cost(
        Stream(a.count.or_(b.count), a.each.or_(b.each), a.total.or_(b.total)),
        left.work.or_(right.work),
        left.peak.or_(right.peak),
        common([left, right]),
    )


def common(costs: list[Cost]) -> str:
    kinds = {cost.kind for cost in costs}
    if len(kinds) == 1:
        return kinds.pop()
    return "any" if "any" in kinds else "atom"


class Analyst(Protocol):
    """Finds the costs of the nodes of one program, and the guards under which they hold."""

    def of(self, node: syntax.Node, scope: Scope) -> Cost:
        """The cost of a node for one input."""

    def then(self, first: Cost, stage: syntax.Node, scope: Scope) -> Cost:
        """The cost of a node on every result of another."""

    def guard(self, node: syntax.Node, condition: str, before: bool = False) -> None:
        """Halts the program if this holds for a result of the node or, `before`, for its input."""

    def fresh(self) -> str:
        """A symbol that no other has."""
