from __future__ import annotations

import asyncio

import pytest

from factotum.runtime.secrets.cached import Cached
from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.ordered import Ordered
from tests.support.secret_stores import HeldStore

TOKEN = ("acme", "token", "")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def cached(store: HeldStore, clock: Clock, *, seconds: float = 30.0, timeout: float = 5.0) -> Cached:
    return Cached(store, seconds=seconds, timeout_seconds=timeout, known=Known(), monotonic=clock)


async def test_a_rotated_secret_is_taken_up_when_its_time_is_over() -> None:
    store, clock = HeldStore({TOKEN: "old-value"}), Clock()
    secrets = cached(store, clock)
    assert await secrets.resolve("acme", "token") == "old-value"
    store.values[TOKEN] = "new-value"
    clock.now += 29.9
    assert await secrets.resolve("acme", "token") == "old-value"
    clock.now += 0.1
    assert await secrets.resolve("acme", "token") == "new-value"
    assert store.asked[TOKEN] == 2


async def test_what_changes_while_the_store_is_asked_is_not_older_than_the_question() -> None:
    store, clock = HeldStore({TOKEN: "old-value"}), Clock()
    store.free.clear()
    secrets = cached(store, clock)
    asking = asyncio.create_task(secrets.resolve("acme", "token"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.now += 30
    store.free.set()
    assert await asking == "old-value"
    store.values[TOKEN] = "new-value"
    assert await secrets.resolve("acme", "token") == "new-value"


async def test_many_waiters_are_one_question_and_one_who_leaves_takes_nothing_from_the_others() -> None:
    store = HeldStore({TOKEN: "the-value"})
    store.free.clear()
    secrets = cached(store, Clock())
    waiters = [asyncio.create_task(secrets.resolve("acme", "token")) for _ in range(50)]
    await asyncio.sleep(0.01)
    waiters[0].cancel()
    store.free.set()
    answers = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == ["the-value"] * 49
    assert store.asked[TOKEN] == 1


async def test_owners_are_kept_apart() -> None:
    store = HeldStore({TOKEN: "of-acme", ("globex", "token", ""): "of-globex", ("acme", "token", "ada"): "of-ada"})
    secrets = cached(store, Clock())
    for _ in range(2):
        assert await secrets.resolve("acme", "token") == "of-acme"
        assert await secrets.resolve("globex", "token") == "of-globex"
        assert await secrets.resolve("acme", "token", user="ada") == "of-ada"
        with pytest.raises(UnknownSecret):
            await secrets.resolve("globex", "token", user="ada")


async def test_a_failure_is_told_to_all_who_wait_and_not_kept() -> None:
    store = HeldStore({TOKEN: SecretsUnavailable("sealed")})
    secrets = cached(store, Clock())
    for error in await asyncio.gather(*(secrets.resolve("acme", "token") for _ in range(3)), return_exceptions=True):
        assert isinstance(error, SecretsUnavailable)
    assert store.asked[TOKEN] == 1
    store.values[TOKEN] = "the-value"
    assert await secrets.resolve("acme", "token") == "the-value"


async def test_a_store_that_hangs_is_away() -> None:
    store = HeldStore({TOKEN: "the-value"})
    store.free.clear()
    with pytest.raises(SecretsUnavailable, match=r"within 0\.02 s"):
        await cached(store, Clock(), timeout=0.02).resolve("acme", "token")


async def test_a_short_secret_is_given_and_warned_of_without_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    assert await cached(HeldStore({TOKEN: "q7z"}), Clock()).resolve("acme", "token") == "q7z"
    said = "".join(capsys.readouterr())
    assert "too short" in said and "token" in said and "q7z" not in said


async def test_the_first_store_that_has_it_gives_it_and_one_that_is_away_ends_the_search() -> None:
    first, second = HeldStore(), HeldStore({TOKEN: "from-second"})
    stores = Ordered([first, second])
    assert await stores.resolve("acme", "token") == "from-second"
    first.values[TOKEN] = "from-first"
    assert await stores.resolve("acme", "token") == "from-first"
    first.values[TOKEN] = SecretsUnavailable("sealed")
    with pytest.raises(SecretsUnavailable):
        await stores.resolve("acme", "token")
    assert second.asked[TOKEN] == 1
    with pytest.raises(UnknownSecret, match="into the shelf of acme, or into the shelf of acme"):
        await stores.resolve("acme", "other")
