"""Names that would make an idempotency key too long are refused before a run reaches them."""

from __future__ import annotations

from pathlib import Path

import pytest

from factotum.procedures.check import check
from factotum.procedures.parse import Source, parse
from factotum.procedures.tasks import walk
from factotum.runs.identity import recurring_id, run_id
from factotum.tool_executor.execution import MAX_KEY_LENGTH

FOLDER = Path(__file__).parents[3] / "procedures"
PROCEDURE = "p" * 63


def nested(name: str, levels: int) -> Source:
    task = f"{name}: {{set: {{x: 1}}}}"
    for _ in range(levels):
        task = f"{name}: {{do: [{{{task}}}]}}"
    return parse(f"document: {{dsl: '1.0.3', namespace: t, name: {PROCEDURE}, version: '1.0.0'}}\ndo:\n  - {task}\n")


def test_a_long_name_is_refused_where_it_stands() -> None:
    assert check(nested("n" * 64, 0), None) == []
    (fault,) = check(nested("n" * 65, 0), None)
    assert str(fault).startswith("3:5")
    assert "may be 64 characters, this one has 65" in str(fault)


@pytest.mark.parametrize("levels", range(12))
def test_what_is_let_through_makes_keys_that_the_executor_takes(levels: int) -> None:
    source = nested("n" * 60, levels)
    deepest = max((pointer for pointer, _ in walk(source.document.do)), key=len)
    run = recurring_id(tenant="t" * 63, procedure=f"t/{PROCEDURE}") + "-2026-11-24T20:00:00Z"
    assert len(run_id(tenant="t" * 63, source="/s", event_id="1", procedure=f"t/{PROCEDURE}")) <= len(run)
    fits = len(f"{run}:{deepest}:{'9' * 64}:undo") <= MAX_KEY_LENGTH
    assert (check(source, None) == []) is fits


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_packaged_ones_are_short_enough(path: Path) -> None:
    assert check(parse(path.read_text(encoding="utf-8")), None) == []
