"""Token buckets and circuit breakers, by a clock that is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factotum.sdk.spec import RateLimit
from factotum.tool_executor.limits import Breaker, BreakerRules, Position, TokenBucket

START = datetime(2026, 11, 24, 9, tzinfo=UTC)
RULES = BreakerRules(failures=3, window=timedelta(seconds=10), cool_down=timedelta(seconds=5))


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_so_many_at_once_and_then_one_by_one() -> None:
    bucket = TokenBucket(RateLimit(calls=3, seconds=6), START)
    assert [bucket.take(START) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(after(0.5)) == pytest.approx(1.5)
    assert bucket.take(after(2)) == 0 and bucket.take(after(2)) == pytest.approx(2)
    assert [bucket.take(after(100)) for _ in range(4)] == [0, 0, 0, pytest.approx(2)]


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    bucket = TokenBucket(RateLimit(calls=1, seconds=1), START)
    assert bucket.take(START) == 0
    assert bucket.take(after(-100)) > 0 and bucket.take(after(-99)) == 0


@given(
    calls=st.integers(1, 20),
    seconds=st.floats(0.1, 100),
    waits=st.lists(st.floats(0, 50), max_size=200),
)
def test_never_more_than_the_rate_and_the_bucket(calls: int, seconds: float, waits: list[float]) -> None:
    bucket, now, taken = TokenBucket(RateLimit(calls=calls, seconds=seconds), START), START, 0
    for wait in waits:
        now += timedelta(seconds=wait)
        taken += bucket.take(now) == 0
    assert taken <= calls + (now - START).total_seconds() * calls / seconds + 1e-6


@given(calls=st.integers(1, 20), seconds=st.floats(0.1, 100))
def test_who_comes_when_told_may_pass(calls: int, seconds: float) -> None:
    bucket, now = TokenBucket(RateLimit(calls=calls, seconds=seconds), START), START
    for _ in range(calls + 20):
        if wait := bucket.take(now):
            now += timedelta(seconds=wait) + timedelta(microseconds=1)
            assert bucket.take(now) == 0


def failed(breaker: Breaker, *seconds: float) -> list[bool]:
    return [breaker.failed(object(), after(moment)) for moment in seconds]


def test_it_opens_after_so_many_failures_in_a_row_within_the_window() -> None:
    assert failed(Breaker(RULES), 0, 4, 8) == [False, False, True]
    assert failed(Breaker(RULES), 0, 5, 11, 12) == [False, False, False, True]
    breaker = Breaker(RULES)
    assert failed(breaker, 0, 1) == [False, False] and not breaker.answered(object())
    assert failed(breaker, 2, 3, 4) == [False, False, True]


def test_open_it_lets_one_try_after_the_cool_down() -> None:
    breaker, one, other = Breaker(RULES), object(), object()
    failed(breaker, 0, 0, 0)
    assert breaker.position is Position.OPEN
    assert breaker.enter(one, after(1)) == pytest.approx(4)
    assert breaker.enter(one, after(5)) == 0 and breaker.position is Position.HALF_OPEN
    assert breaker.enter(other, after(6)) > 0
    assert not breaker.failed(other, after(6)), "one that was under way before says nothing new"
    assert breaker.failed(one, after(7)) and breaker.enter(other, after(8)) == pytest.approx(4)
    assert breaker.enter(other, after(12)) == 0 and breaker.answered(other)
    assert breaker.position is Position.CLOSED and breaker.enter(one, after(12)) == 0
    assert failed(breaker, 13, 13) == [False, False]


def test_one_that_found_nothing_out_leaves_the_try_to_the_next() -> None:
    breaker, one, other = Breaker(RULES), object(), object()
    failed(breaker, 0, 0, 0)
    assert breaker.enter(one, after(5)) == 0
    breaker.left(other)
    assert breaker.enter(other, after(5)) > 0
    breaker.left(one)
    assert breaker.enter(other, after(5)) == 0


def test_without_a_number_of_failures_it_never_opens() -> None:
    breaker = Breaker(BreakerRules(failures=0, window=RULES.window, cool_down=RULES.cool_down))
    assert not any(failed(breaker, *[0] * 100)) and breaker.enter(object(), START) == 0
