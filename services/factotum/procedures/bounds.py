"""Polynomials that bound sizes, counts and work, and the streams that they describe.

A bound holds for symbols of at least 1, so that a higher power is never less than a lower one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# The size of the input, and of all data that the program is given. Other symbols are variables.
INPUT, DATA = "", "*"
MOST_TERMS, HIGHEST_DEGREE = 60, 8
_LARGE = 1e15

Monomial = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """The sum of coefficient · symbols; None: no bound is known."""

    terms: Mapping[Monomial, float] | None

    def __add__(self, other: Bound) -> Bound:
        if self.terms is None or other.terms is None:
            return UNBOUNDED
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            terms[monomial] = terms.get(monomial, 0.0) + coefficient
        return _bound(terms)

    def __mul__(self, other: Bound | float) -> Bound:
        if not isinstance(other, Bound):
            return UNBOUNDED if self.terms is None else _bound({m: c * other for m, c in self.terms.items()})
        if self.terms is None or other.terms is None:
            return UNBOUNDED
        terms: dict[Monomial, float] = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                monomial = _product(left, right)
                terms[monomial] = terms.get(monomial, 0.0) + a * b
        return _bound(terms)

    def or_(self, other: Bound) -> Bound:
        """A bound of either."""
        if self.terms is None or other.terms is None:
            return UNBOUNDED
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            terms[monomial] = max(terms.get(monomial, 0.0), coefficient)
        return _bound(terms)

    def at(self, symbol: str, each: Bound) -> Bound:
        """With a bound in a symbol's place."""
        return self.over(symbol, Stream(ONE, each, each))

    def over(self, symbol: str, stream: Stream) -> Bound:
        """The sum over all values of a stream, whose sizes the symbol stands for."""
        if self.terms is None:
            return UNBOUNDED
        total = ZERO
        for monomial, coefficient in self.terms.items():
            power = dict(monomial).get(symbol, 0)
            term = _bound({tuple(factor for factor in monomial if factor[0] != symbol): coefficient})
            if power == 0:
                term = term * stream.count
            else:
                term = term * stream.total
                for _ in range(power - 1):
                    term = term * stream.each
            total = total + term
        return total

    def without(self, symbol: str) -> tuple[float, Bound]:
        """The coefficient of the symbol alone, and the rest; a rest that has the symbol is no bound."""
        if self.terms is None:
            return 0.0, UNBOUNDED
        rest = {m: c for m, c in self.terms.items() if m != ((symbol, 1),)}
        if any(symbol in dict(monomial) for monomial in rest):
            return 0.0, UNBOUNDED
        return self.terms.get(((symbol, 1),), 0.0), _bound(rest)

    def value(self, size: float) -> float:
        """With every symbol of this size."""
        if self.terms is None:
            return math.inf
        return sum(c * size ** sum(power for _, power in m) for m, c in self.terms.items())


@dataclass(frozen=True, slots=True)
class Stream:
    """How many values there are, how large each is at most, and all together."""

    count: Bound
    each: Bound
    total: Bound


UNBOUNDED = Bound(None)
ZERO = Bound({})


def constant(number: float) -> Bound:
    return _bound({(): number})


def symbol(name: str) -> Bound:
    return Bound({((name, 1),): 1.0})


def _bound(terms: dict[Monomial, float]) -> Bound:
    if len(terms) > MOST_TERMS:
        return UNBOUNDED
    for monomial, coefficient in terms.items():
        if coefficient > _LARGE or sum(power for _, power in monomial) > HIGHEST_DEGREE:
            return UNBOUNDED
    return Bound(terms)


def _product(left: Monomial, right: Monomial) -> Monomial:
    if not left or not right:
        return left or right
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + power
    return tuple(sorted(powers.items()))


ONE = constant(1)
SIZE = symbol(INPUT)
