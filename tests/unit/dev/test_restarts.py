"""When a part that died comes back."""

from __future__ import annotations

import pytest

from factotum.dev.restarts import Restarts


def test_five_restarts_with_growing_pauses_then_none() -> None:
    restarts = Restarts(well_seconds=60.0)
    pauses = [restarts.after_death(answered_seconds=0.0) for _ in range(7)]
    assert pauses[5:] == [None, None]
    known = [pause for pause in pauses[:5] if pause is not None]
    assert known[0] == pytest.approx(0.2)
    assert known[-1] == pytest.approx(5.0)
    assert known == sorted(known) and len(set(known)) == 5


def test_a_part_that_was_well_starts_with_a_clean_record() -> None:
    restarts = Restarts(well_seconds=60.0)
    for _ in range(5):
        restarts.after_death(answered_seconds=60.0)
    assert restarts.after_death(answered_seconds=60.1) == pytest.approx(0.2)
    assert restarts.count == 1
