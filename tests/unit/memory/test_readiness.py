import asyncio

from factotum.memory.readiness import watch


async def test_each_change_is_told_once() -> None:
    said = ["", "away", "away", "full", "", ""]
    told: list[bool] = []
    over = asyncio.Event()

    async def trouble() -> str:
        if len(said) == 1:
            over.set()
        return said.pop(0) if len(said) > 1 else said[0]

    async def tell(ready: bool) -> None:
        told.append(ready)

    watching = asyncio.create_task(watch(trouble, tell, ready=True, every=0))
    await asyncio.wait_for(over.wait(), 5)
    watching.cancel()
    assert told == [False, True]
