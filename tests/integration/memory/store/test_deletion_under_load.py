"""A deleted record is never shown again, while others write, delete and search at the same time."""

from __future__ import annotations

import asyncio
import random
import time

from factotum.api.memory.v1.memory_pb2 import Place
from factotum.memory.store.port import Burial, Entry, Scope, Store, Stretch
from tests.support.stores import NOW, entry, ids, vector

SECONDS = 3.0
TENANT = "load"


class Load:
    """What has been deleted, as far as everybody must know it; and what was found in spite of it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.scope = Scope(tenant=TENANT, history=True)
        self.gone: set[str] = set()
        self.ends = time.monotonic() + SECONDS
        self.searches = 0

    async def is_on(self) -> bool:
        await asyncio.sleep(0)  # the double never waits for anything
        return time.monotonic() < self.ends

    async def found(self, way: int) -> set[str]:
        self.searches += 1
        if way == 0:
            return set(ids((await self.store.search(self.scope, vector(), "hello", 1000))[0]))
        if way == 1:
            return set(ids((await self.store.search(self.scope, vector(), "hello", 1000))[1]))
        if way == 2:
            return set(await self.store.get(TENANT, sorted(self.gone)[-200:]))
        if way == 3:
            return {record.id async for record in self.store.records(self.scope)}
        return set(ids(await self.store.stretches(self.scope, [Stretch("s", 0, 9)])))

    async def search_on_and_on(self) -> None:
        while await self.is_on():
            before = set(self.gone)
            assert not before & await self.found(random.randrange(5))

    async def write_and_delete(self, writer: int) -> None:
        number = 0
        while await self.is_on():
            some = [self.entry(f"{writer}-{number}-{n}") for n in range(random.choice([1, 2, 7]))]
            number += 1
            for _ in range(random.choice([1, 2])):
                await self.store.upsert(some)
            names = [each.record.id for each in some]
            buries = random.random() < 0.5
            if buries:
                await self.store.bury(TENANT, names, Burial.FORGOTTEN, NOW)
            again = asyncio.create_task(self.store.upsert(some)) if buries else None
            assert await self.store.delete(TENANT, names) <= len(names)
            self.gone.update(names)
            found = await asyncio.gather(*(self.found(way) for way in random.sample(range(5), 3)))
            assert not set(names) & set().union(*found)
            if again is not None:
                await again

    async def write_what_stays(self) -> None:
        number = 0
        while await self.is_on():
            await self.store.upsert([self.entry(f"stays-{number % 20}")])
            number += 1

    def entry(self, identity: str) -> Entry:
        return entry(TENANT, f"hello {identity}", id=identity, place=Place(sequence="s", position=1))


async def test_what_is_deleted_is_never_shown_again(each: Store) -> None:
    load = Load(each)
    await asyncio.gather(
        *(load.write_and_delete(writer) for writer in range(3)),
        *(load.search_on_and_on() for _ in range(3)),
        load.write_what_stays(),
    )
    assert len(load.gone) > 5
    assert load.searches > 20
    stays = {f"stays-{n}" for n in range(20)}
    for way in range(5):
        assert await load.found(way) <= stays
    assert await load.found(3) == stays & await load.found(0) == await load.found(1)
