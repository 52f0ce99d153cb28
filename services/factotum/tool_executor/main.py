"""The tool executor's composition root: `python -m factotum.tool_executor.main`."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Coroutine, Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import structlog

from factotum.api.tools.v1.tools_pb2_grpc import add_ToolExecutorServiceServicer_to_server
from factotum.events.producer import EventProducer
from factotum.runtime import clock, lifespan, telemetry
from factotum.runtime.groups import GroupsInvalid
from factotum.runtime.grpc_server import MAX_DOCUMENT_BYTES, GrpcServer
from factotum.runtime.secrets import stores
from factotum.runtime.secrets.mask import Known
from factotum.tool_executor import registry, tenants
from factotum.tool_executor.authorising import Authorising
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.errors import ConnectorsInvalid, LedgerUnavailable
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.grpc import SERVICE, ToolExecutorServicer
from factotum.tool_executor.ledger import Ledger
from factotum.tool_executor.ledger_postgres import PostgresLedger
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.limits import BreakerRules, Limits
from factotum.tool_executor.outbox import Outbox
from factotum.tool_executor.policy.folders import Permission
from factotum.tool_executor.policy.policies import PoliciesInvalid
from factotum.tool_executor.postponed import Postponed
from factotum.tool_executor.probing import Prober
from factotum.tool_executor.resolution import Resolver
from factotum.tool_executor.retention import Retention
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.sandbox.groups import UNBOUNDED, ControlGroupsUnusable, Groups
from factotum.tool_executor.secrets import Secrets
from factotum.tool_executor.settings import LimitSettings, Settings
from factotum.tool_executor.sources import file as sources_file
from factotum.tool_executor.sources import kinds
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.making import Maker
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.store import SourceStore, StoreUnavailable

log = structlog.get_logger(__name__)

# Beyond the seconds that the server gives to calls under way; together less than lifespan's grace.
DRAIN_SECONDS = 2.0


async def serve(settings: Settings, known: Known, stop: asyncio.Event) -> None:
    """Runs the tool executor until `stop` is set. Raises `ConnectorsInvalid`, `ControlGroupsUnusable`, `FileInvalid`,
    `GroupsInvalid`, `LedgerUnavailable`, `PoliciesInvalid`, `StoreUnavailable`; `RuntimeError` if the port is taken."""
    installed = registry.load(settings.connectors, settings.tools_folder)
    catalog = Catalog(installed, tenants.load(settings.connectors_file, installed))
    wanted = sources_file.load(settings.tool_sources_file) if settings.tool_sources_file else []
    permission = Permission(settings.policies, settings.groups_file)
    permission.renew()
    sandbox = _sandbox(settings)
    kafka = settings.kafka
    async with (
        stores.opened(settings.secrets, environment=os.environ, known=known, monotonic=time.monotonic) as store,
        _source_store(settings) as source_store,
        _ledger(settings) as ledger,
        Postponed(ledger) as postponed,
        EventProducer(
            kafka.bootstrap_servers, client_id="tool-executor", timeout_seconds=kafka.publish_timeout_seconds
        ) as producer,
        kinds.opened(Machine(settings.sandbox.folders, settings.sandbox.unsandboxed), sandbox) as source_kinds,
    ):
        contexts = Contexts(catalog=catalog, known=known, now=clock.now)
        secrets = Secrets(store)
        executor = _executor(
            settings,
            catalog=catalog,
            contexts=contexts,
            secrets=secrets,
            permission=permission,
            ledger=ledger,
            postponed=postponed,
            sandbox=sandbox,
        )
        maker = Maker(kinds=source_kinds, secret=secrets.secret, read_seconds=settings.source_read_seconds)
        sources = Sources(maker=maker, store=source_store, catalog=catalog, now=clock.now)
        await sources.look()
        servicer = ToolExecutorServicer(
            executor=executor,
            resolver=Resolver(catalog=catalog, contexts=contexts, ledger=ledger, now=clock.now),
            catalog=catalog,
            ledger=ledger,
            sources=sources,
            prober=Prober(
                catalog=catalog, sources=sources, executor=executor, permits=permission, secret=secrets.secret
            ),
            authorising=Authorising(catalog=catalog, contexts=contexts, permits=permission, now=clock.now),
        )
        server = GrpcServer(
            settings.grpc,
            [SERVICE],
            [lambda server: add_ToolExecutorServiceServicer_to_server(servicer, server)],
            max_message_bytes=MAX_DOCUMENT_BYTES,
        )
        retention = Retention(ledger, days=settings.effects_kept_days, now=clock.now)
        # What is loaded by now stays: looking at all of it again and again takes a fifth of a call's time.
        gc.collect()
        gc.freeze()
        await server.start()
        log.info("tool-executor listens", host=settings.grpc.host, port=server.port, tools=len(installed.tools))
        beside = (
            _kept_up(Outbox(ledger, producer), retention, stop),
            sources.follow(stop, seconds=settings.sources_look_seconds),
            _brought_about(wanted, sources, stop),
            permission.keep_up(stop),
        )
        await _until_stopped(server, executor, beside, stop)


async def _until_stopped(
    server: GrpcServer, executor: Executor, beside: Iterable[Coroutine[Any, Any, None]], stop: asyncio.Event
) -> None:
    """Does what goes on beside the server's answers, until `stop` is set; then ends all of it, the server first.
    Raises what one of those dies of: a process that forgets observations must not seem well."""
    going_on = [asyncio.create_task(one) for one in beside]
    try:
        await asyncio.wait({asyncio.ensure_future(stop.wait()), *going_on}, return_when=asyncio.FIRST_COMPLETED)
        for task in going_on:
            if task.done() and not stop.is_set():
                await task
    finally:
        await server.stop()
        # Effects whose callers are gone. One that takes longer is found `started` by its retry.
        await asyncio.wait({asyncio.ensure_future(executor.drained())}, timeout=DRAIN_SECONDS)
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)


def _sandbox(settings: Settings) -> Bubblewrap:
    """Raises `ControlGroupsUnusable`."""
    control_groups = Groups(settings.sandbox.cgroups)
    control_groups.check()
    # What a call that may just begin has made stays.
    control_groups.sweep(before=clock.now().timestamp() - 60)
    if not settings.sandbox.cgroups:
        log.warning("commands have no control groups", unbounded=UNBOUNDED, setting="FACTOTUM_SANDBOX__CGROUPS")
    return Bubblewrap(groups=control_groups)


def _executor(
    settings: Settings,
    *,
    catalog: Catalog,
    contexts: Contexts,
    secrets: Secrets,
    permission: Permission,
    ledger: Ledger,
    postponed: Postponed,
    sandbox: Bubblewrap,
) -> Executor:
    return Executor(
        catalog=catalog,
        contexts=contexts,
        secrets=secrets,
        permits=permission,
        ledger=ledger,
        tell=postponed.add,
        limits=_limits(settings.limits),
        sandbox=sandbox,
        lease_seconds=settings.lease_seconds,
        ambiguous_retry_seconds=settings.ambiguous_retry_seconds,
        cancel_grace_seconds=settings.cancel_grace_seconds,
        now=clock.now,
        new_id=lambda: uuid4().hex,
    )


def _source_store(settings: Settings) -> SourceStore:
    """Where the ledger is: in its database, or in a file beside it."""
    if settings.ledger_url is None:
        return SourceStore(f"sqlite:///{settings.ledger_path.with_name('sources.sqlite3').resolve()}")
    return SourceStore(settings.ledger_url.get_secret_value())


async def _brought_about(wanted: Sequence[sources_file.Wanted], sources: Sources, stop: asyncio.Event) -> None:
    await sources_file.bring_about(wanted, sources)
    await stop.wait()


async def _kept_up(outbox: Outbox, retention: Retention, stop: asyncio.Event) -> None:
    await asyncio.gather(outbox.run(stop), retention.run(stop))


def _limits(settings: LimitSettings) -> Limits:
    breaker = BreakerRules(
        failures=settings.breaker_failures,
        window=timedelta(seconds=settings.breaker_window_seconds),
        cool_down=timedelta(seconds=settings.breaker_cool_down_seconds),
    )
    return Limits(line_seconds=settings.line_seconds, breaker=breaker)


def _ledger(settings: Settings) -> SqliteLedger | PostgresLedger:
    retry = settings.ambiguous_retry_seconds
    if settings.ledger_url is None:
        return SqliteLedger(settings.ledger_path, ambiguous_retry_seconds=retry)
    return PostgresLedger(settings.ledger_url.get_secret_value(), ambiguous_retry_seconds=retry)


def main() -> None:
    with lifespan.boundary(
        "tool-executor",
        ConnectorsInvalid,
        ControlGroupsUnusable,
        GroupsInvalid,
        LedgerUnavailable,
        PoliciesInvalid,
        StoreUnavailable,
        sources_file.FileInvalid,
    ):
        settings, known = lifespan.read(Settings), Known()
        provider = telemetry.setup("tool-executor", settings.telemetry, known)
        try:
            lifespan.run(lambda stop: serve(settings, known, stop))
        finally:
            provider.shutdown()


if __name__ == "__main__":
    main()
