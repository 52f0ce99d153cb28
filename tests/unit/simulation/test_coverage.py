"""Branches: which there are, and which were gone."""

from __future__ import annotations

import pytest

from tests.support.simulated import simulated

TEXT = """
do:
  - choose:
      switch:
        - big: {when: '.n > 10', then: same}
        - odd: {when: '.n % 2 == 1', then: same}
  - between: {set: '${ . + {between: true} }'}
  - same: {if: '.n != 3', set: '${ . }'}
  - loop: {for: {in: '.items'}, do: [{each: {set: '${ . }'}}]}
  - guarded:
      try:
        - inner: {switch: [{bad: {when: .bad, then: fail}}, {fine: {then: exit}}]}
        - fail: {raise: {error: {type: a:t, status: 500}}}
      catch: {do: [{mended: {set: '${ . }'}}]}
"""


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        (
            {"n": 11, "items": [], "bad": False},
            {
                "/do/0/choose (case odd)",
                "/do/0/choose (no case)",
                "/do/1/between",
                "/do/2/same (if false)",
                "/do/3/loop (some rounds)",
                "/do/3/loop/do/0/each",
                "/do/4/guarded (caught)",
                "/do/4/guarded/try/0/inner (case bad)",
                "/do/4/guarded/try/1/fail",
                "/do/4/guarded/catch/do/0/mended",
            },
        ),
        (
            {"n": 3, "items": [1], "bad": True},
            {
                "/do/0/choose (case big)",
                "/do/0/choose (no case)",
                "/do/1/between",
                "/do/2/same",
                "/do/2/same (if true)",
                "/do/3/loop (no round)",
                "/do/4/guarded/try/0/inner (case fine)",
            },
        ),
        (
            {"n": 2, "items": [1], "bad": False},
            {
                "/do/0/choose (case big)",
                "/do/0/choose (case odd)",
                "/do/2/same (if false)",
                "/do/3/loop (no round)",
                "/do/4/guarded (caught)",
                "/do/4/guarded/try/0/inner (case bad)",
                "/do/4/guarded/try/1/fail",
                "/do/4/guarded/catch/do/0/mended",
            },
        ),
    ],
)
def test_what_was_not_gone_is_named(given: object, missing: set[str]) -> None:
    found = simulated(TEXT, given)
    assert found.status == "completed"
    coverage = found.coverage["test/t"]
    assert set(map(str, coverage.missing)) == missing
    assert coverage.gone <= coverage.total
    assert coverage.percent == pytest.approx(100 * (1 - len(missing) / len(coverage.total)))


def test_tasks_of_functions_and_extensions_count() -> None:
    text = """
use:
  functions: {used: {set: {a: 1}}, unused: {do: [{inner: {set: {a: 1}}}]}}
  extensions: [{log: {extend: call, before: [{note: {set: {b: 1}}}], after: [{other: {if: 'false', set: {c: 1}}}]}}]
do: [{a: {call: used}}]
"""
    assert set(map(str, simulated(text).coverage["test/t"].missing)) == {
        "/use/functions/unused",
        "/use/functions/unused/do/0/inner",
        "/use/extensions/0/log/after/0/other",
        "/use/extensions/0/log/after/0/other (if true)",
    }
