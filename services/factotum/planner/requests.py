"""What is asked of the planner by hand: to register a procedure, to start a run of one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator

from factotum.planner.errors import InputRefused
from factotum.planner.library import Library
from factotum.planner.permission import Permitted
from factotum.planner.planning import Plan
from factotum.planner.preparation import Prepared
from factotum.planner.scheduling import Scheduling
from factotum.planner.starting import Starting
from factotum.procedures import schemas
from factotum.procedures.parse import Source, parse
from factotum.runs.identity import run_id

# The source of an event is never empty, so that no event can have the id of a request.
SOURCE = ""


class Requests:
    """Carries out requests. The same one again changes nothing."""

    def __init__(
        self,
        *,
        library: Library,
        preparation: Permitted,
        scheduling: Scheduling,
        starting: Starting,
        now: Callable[[], datetime],
    ) -> None:
        self._library = library
        self._preparation = preparation
        self._scheduling = scheduling
        self._starting = starting
        self._now = now

    async def register(self, tenant: str, text: str) -> tuple[Source, bool]:
        """The procedure, and whether it is new.

        Raises `FaultyDocument` if it could not run as it stands, `VersionTaken`, `CatalogUnavailable`,
        `StoreUnavailable`, `TemporalUnavailable`.
        """
        source = parse(text)
        await self._preparation.prepare(tenant, source)
        added = await self._library.register(tenant, text, self._now())
        # Also if it was there before: an earlier request may have come no further.
        await self._scheduling.follow(tenant, source.document.full_name)
        return source, added

    async def start(
        self, tenant: str, *, procedure: str, version: str, given: Any, request_id: str, user: str = ""
    ) -> tuple[Plan, bool]:
        """The plan, and whether this request started it; without a version it is the newest. The run acts for `user`.

        Raises `UnknownProcedure`, `FaultyDocument`, `InputRefused`, `RunRefused`, or, of what passes,
        `CatalogUnavailable`, `StoreUnavailable`, `TemporalUnavailable`.
        """
        found = await self._library.find(tenant, procedure, version)
        prepared = await self._preparation.prepare(tenant, found.source, acting_for=user)
        made = requested(prepared, tenant=tenant, given=given, request_id=request_id, user=user)
        return made, await self._starting.start(made)


def requested(prepared: Prepared, *, tenant: str, given: Any, request_id: str, user: str = "") -> Plan:
    """The plan of a request. Raises `InputRefused`."""
    document = prepared.source.document
    schema = document.input.schema_.document if document.input.schema_ is not None else None
    if schema is not None:
        errors = Draft202012Validator(schema, registry=schemas.NOTHING_REMOTE).iter_errors(given)
        faults = [f"{error.json_path}: {error.message}" for error in errors]
        if faults:
            raise InputRefused(f"the input does not fit {document.full_name}: {'; '.join(faults)}")
    return Plan(
        run_id=run_id(tenant=tenant, source=SOURCE, event_id=request_id, procedure=document.full_name),
        source=prepared.source,
        run=prepared.run(tenant=tenant, given=given, user=user),
        uses=prepared.uses,
    )
