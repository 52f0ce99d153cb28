"""The planner's taking of events, in a file of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from factotum.events.producer import EventProducer
from factotum.planner.intake import Intake
from factotum.planner.library import Library
from factotum.planner.main import SCHEMAS
from factotum.planner.partial_matches import PartialMatches
from factotum.planner.permission import Permitted
from factotum.planner.signalling import Signalling
from factotum.planner.starting import Starting
from factotum.planner.store_file import StoreFile
from factotum.planner.subscriptions import Subscriptions
from factotum.procedures.expressions import Costly, ExpressionError
from factotum.runs.client import Runs
from factotum.runtime import clock
from tests.support.library import filed


@dataclass
class Taking:
    """One planner's parts."""

    intake: Intake
    library: Library
    subscriptions: Subscriptions
    starting: Starting
    partial_matches: PartialMatches


async def nothing_is_costly(program: str, value: Any, arguments: Mapping[str, Any]) -> Any:
    raise ExpressionError(f"{program} was not expected to be costly")


@asynccontextmanager
async def taking(
    path: Path,
    *,
    runs: Runs,
    producer: EventProducer,
    preparation: Permitted,
    texts: tuple[str, ...] = (),
    library: Library | None = None,
    costly: Costly = nothing_is_costly,
    now: Callable[[], datetime] = clock.now,
) -> AsyncIterator[Taking]:
    """A planner with these procedures on its shelf; several may be open on one path."""
    async with (
        StoreFile(path, SCHEMAS) as file,
        Subscriptions(file, path, seconds=lambda: now().timestamp()) as subscriptions,
    ):
        shelf = library or Library(file)
        if texts:
            await shelf.shelve(filed(*texts), now())
        starting = Starting(library=shelf, subscriptions=subscriptions, runs=runs, now=now)
        partial_matches = PartialMatches(file, producer, kept=timedelta(days=7), now=now)
        intake = Intake(
            library=shelf,
            preparation=preparation,
            starting=starting,
            signalling=Signalling(subscriptions=subscriptions, runs=runs),
            partial_matches=partial_matches,
            costly=costly,
            producer=producer,
            now=now,
        )
        yield Taking(intake, shelf, subscriptions, starting, partial_matches)
