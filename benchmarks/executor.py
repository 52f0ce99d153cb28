"""A tool executor in a process of its own, whose one tool adds one: `python -m benchmarks.executor`."""

from __future__ import annotations

import asyncio

from tests.support.executor import scripted_executor


async def serve() -> None:
    """Prints its address, serves until it is ended."""
    async with scripted_executor() as executor:
        executor.answers["x.add"] = lambda arguments: {"sum": arguments["a"] + 1}
        print(executor.address, flush=True)
        while True:
            await asyncio.sleep(1)
            executor.requests.clear()


if __name__ == "__main__":
    asyncio.run(serve())
