"""Records the histories of this tree's interpreter, for `test_replay.py`: `make histories`.

The folder of the version in pyproject.toml is written anew. Once that version is released its folder stays as
it is: raise the version first.
"""

from __future__ import annotations

import asyncio
import logging
import shutil

from factotum.runs.connection import connect
from factotum.runtime.settings import TemporalSettings
from factotum.worker.versioning import deployment_version, make_current
from tests.support import kept_histories, recording
from tests.support.temporal import temporal_server
from tests.support.worker_bench import worker_bench

QUEUE = "factotum"


async def record() -> None:
    # Of the errors that tools of these runs answer with on purpose.
    logging.getLogger("temporalio").setLevel(logging.CRITICAL)
    histories = {}
    version = deployment_version(QUEUE)
    async with temporal_server() as environment:
        # As a worker connects, so that what its interceptors leave in a history is there.
        client = await connect(TemporalSettings(address=environment.client.service_client.config.target_host))
        async with worker_bench(client, QUEUE) as bench, bench.worker(version=version, sandboxed=False):
            await make_current(client, version)
            for wanted in recording.runs():
                histories |= await recording.play(bench, wanted)
            histories |= await recording.play_recurrence(bench)
    folder = kept_histories.FOLDER / kept_histories.release()
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name, history in histories.items():
        kept_histories.write(folder, name, history)
    size = sum(path.stat().st_size for path in folder.glob("*.json"))
    print(f"{len(histories)} histories, {size // 1024} KB in {folder}")


if __name__ == "__main__":
    asyncio.run(record())
