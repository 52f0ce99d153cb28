"""What is measured of the interpreter: a document, and what the hand-written workflow is given to do the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from factotum.procedures.parse import Source, parse

HEAD = "document: {dsl: '1.0.3', namespace: bench, name: sample, version: '1.0.0'}\n"
COUNT = 20
CALLS = "".join(f"  - s{a}: {{call: x.add, with: {{a: {a}}}}}\n" for a in range(COUNT))
BRANCHES = "".join(f"          - s{a}: {{call: x.add, with: {{a: {a}}}}}\n" for a in range(COUNT))
FORK = f"do:\n  - f:\n      fork:\n        branches:\n{BRANCHES}"
ROUNDS = 50
LOOP = f"""
do:
  - l:
      for: {{each: n, in: '[range({ROUNDS})]'}}
      do: [{{s: {{call: x.add, with: {{a: '${{ $n }}'}}}}}}]
"""
ASSIGNMENTS = 200
PURE = "".join(
    [
        "do:\n  - begin: {set: {n: 0}}\n",
        *(f"  - s{index}: {{set: {{n: '${{ .n + 1 }}'}}}}\n" for index in range(ASSIGNMENTS)),
        "  - call: {call: x.add, with: {a: '${ .n }'}}\n",
    ]
)


@dataclass(frozen=True)
class Workload:
    """One process, in both forms.

    Attributes:
        steps: tasks of the document that a run carries out.
        effect: of the tool that it calls.
    """

    title: str
    text: str
    steps: int
    calls: int
    parallel: bool = False
    assignments: int = 0
    effect: str = "write"

    @cached_property
    def source(self) -> Source:
        return parse(HEAD + self.text)

    @property
    def by_hand(self) -> dict[str, Any]:
        return {"calls": self.calls, "parallel": self.parallel, "assignments": self.assignments}


SEQUENCE = Workload(f"{COUNT} calls in a row", f"do:\n{CALLS}", COUNT, COUNT)
SIDE_BY_SIDE = Workload(f"fork of {COUNT} calls", FORK, COUNT + 1, COUNT, parallel=True)
ROUND_BY_ROUND = Workload(f"for with {ROUNDS} calls", LOOP, ROUNDS + 1, ROUNDS)
ASSIGNED = Workload(f"{ASSIGNMENTS} assignments, 1 call", PURE, ASSIGNMENTS + 2, 1, assignments=ASSIGNMENTS)
READS = Workload(f"{COUNT} reads in a row", f"do:\n{CALLS}", COUNT, COUNT, effect="none")
READS_SIDE_BY_SIDE = Workload(f"fork of {COUNT} reads", FORK, COUNT + 1, COUNT, parallel=True, effect="none")

WORKLOADS = (SEQUENCE, SIDE_BY_SIDE, ROUND_BY_ROUND, ASSIGNED, READS, READS_SIDE_BY_SIDE)
# Of which it is shown what each thing brings.
MIXES = (SIDE_BY_SIDE, ASSIGNED, READS)
