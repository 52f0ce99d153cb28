"""The cost of regular expressions. Oniguruma backtracks: only simple patterns are bounded, on short texts.

A pattern is simple if nothing that is repeated holds anything but one character or class: then a match
tries at most each way of dividing the text between the repetitions.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from factotum.procedures import syntax
from factotum.procedures.bounds import ONE, Stream, constant
from factotum.procedures.cost import CHARACTERS, UNKNOWN, Analyst, Cost, Scope, atoms, product, repeated

FUNCTIONS = frozenset(("test", "match", "capture", "scan", "sub", "gsub", "split", "splits"))
# Setting a match up, which compiles the pattern.
COMPILING = 400
# The steps that all tries of one call may take, and how long a text may be whatever is tried.
MOST_STEPS, LONGEST_TEXT = 10_000, 2000
# How long a text may be where every match counts.
LONGEST_OF_MANY = 200
STEPS_A_TRY = 0.1
HIGHEST_POWER = 5

_ATOM = r"(?:\[\^?\]?(?:[^\[\]\\]|\\.)*\]|\\.|[^\\\[\]()*+?{}|])"
_MANY = r"(?:[*+?]|\{[0-9]{1,2}(?:,[0-9]{0,2})?\})"
_SIMPLE = re.compile(rf"(?:{_ATOM}(?:{_MANY}\??)?|[)|]|\((?:\?(?:<[A-Za-z_]\w*>|:))?)*", re.DOTALL)
_REPEATED = re.compile(rf"{_ATOM}{_MANY}", re.DOTALL)
_GROUP_REPEATED = re.compile(r"(?<!\\)\)[*+?{]")
# Back-references, calls of groups, and what else reads more than one character.
_REFERENCE = re.compile(r"\\[1-9kgKpPXRG]")


@dataclass(frozen=True, slots=True)
class Simple:
    """A simple pattern: how many parts may take more or less of the text, and the power its tries grow with."""

    many: int
    power: int

    @property
    def longest(self) -> int:
        """The longest text, in bytes, on which all tries stay within their steps."""
        tries = MOST_STEPS / STEPS_A_TRY * math.factorial(self.many)
        return min(LONGEST_TEXT, int(tries ** (1 / max(1, self.power))))


def simple(pattern: str) -> Simple | None:
    """None for a pattern that is not simple, or that tries too much on any text."""
    if not _SIMPLE.fullmatch(pattern) or _GROUP_REPEATED.search(pattern) or _REFERENCE.search(pattern):
        return None
    many = len(_REPEATED.findall(pattern)) + pattern.count("|")
    anchored = pattern.startswith(("^", "\\A")) and "|" not in pattern
    power = many if anchored else many + 1
    return Simple(many, power) if power <= HIGHEST_POWER else None


def of(analyst: Analyst, node: syntax.Call, scope: Scope) -> Cost:
    pattern, *others = node.arguments
    if not isinstance(pattern, syntax.Text) or pattern.inserted:
        return UNKNOWN
    found = simple(_unescaped(pattern.text))
    if found is None:
        return UNKNOWN
    every = node.name in ("scan", "gsub", "split", "splits") or (node.name != "test" and bool(others))
    longest = min(found.longest, LONGEST_OF_MANY) if every else found.longest
    analyst.guard(node, f'type == "string" and utf8bytelength > {longest}', before=True)
    matches = longest + 1 if every else 1
    groups = pattern.text.count("(")
    match = constant((1 + groups) * (12 + longest / CHARACTERS) + 2 * groups + 12)
    work = constant(MOST_STEPS + COMPILING + matches * 40.0 * (1 + groups))
    match node.name, len(others):
        case "test", (0 | 1):
            cost = atoms(work)
        case (("match" | "capture" | "scan"), (0 | 1)):
            count = constant(matches)
            cost = Cost(Stream(count, match, match * count), work, match)
        case (("split" | "splits"), (0 | 1)):
            count = ONE if node.name == "split" else constant(matches)
            pieces = constant(2.0 * matches + longest / CHARACTERS + 1)
            cost = Cost(Stream(count, pieces, pieces * count), work, pieces)
        case (("sub" | "gsub"), (1 | 2)):
            return _replaced(
                analyst, node, scope, Cost(Stream(constant(matches), match, match * float(matches)), work, match)
            )
        case _:
            return UNKNOWN
    return repeated(cost, product([analyst.of(each, scope) for each in others])) if others else cost


def _replaced(analyst: Analyst, node: syntax.Call, scope: Scope, matches: Cost) -> Cost:
    put = analyst.then(matches, node.arguments[1], scope)
    each = put.out.total + constant(LONGEST_TEXT / CHARACTERS + 1)
    count = put.out.count
    cost = Cost(Stream(count, each, each * count), put.work + each * count + count * 60, put.peak.or_(each))
    flags = node.arguments[2:]
    return repeated(cost, product([analyst.of(each, scope) for each in flags])) if flags else cost


def _unescaped(text: str) -> str:
    """What a jq text stands for, as far as patterns need it: `\\\\` is one backslash."""
    try:
        return str(json.loads(f'"{text}"', strict=False))
    except ValueError:
        return "("
