"""The tool executor's composition root: `python -m factotum.tool_executor.main`."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from secrets import token_hex
from typing import Any

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
from factotum.tool_executor.offering import ToolOffering
from factotum.tool_executor.outbox import Outbox
from factotum.tool_executor.policy.folders import Permission
from factotum.tool_executor.policy.policies import PoliciesInvalid
from factotum.tool_executor.postponed import Postponed
from factotum.tool_executor.probing import Prober
from factotum.tool_executor.registry import Registry
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
from factotum.tool_executor.sources.python import Modules, PythonSources
from factotum.tool_executor.sources.source import AnySource
from factotum.tool_executor.sources.store import SourceStore, StoreUnavailable
from factotum.tool_executor.tenants import Tenants

log = structlog.get_logger(__name__)

# Beyond the seconds that the server gives to calls under way; together less than lifespan's grace.
DRAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a tool executor keeps open for as long as it runs."""

    catalog: Catalog
    contexts: Contexts
    secrets: Secrets
    permission: Permission
    sandbox: Bubblewrap
    ledger: Ledger
    postponed: Postponed
    producer: EventProducer
    source_store: SourceStore
    source_kinds: Mapping[str, AnySource]


async def serve(settings: Settings, known: Known, stop: asyncio.Event) -> None:
    """Runs the tool executor until `stop` is set. Raises `ConnectorsInvalid`, `ControlGroupsUnusable`, `FileInvalid`,
    `GroupsInvalid`, `LedgerUnavailable`, `PoliciesInvalid`, `StoreUnavailable`; `RuntimeError` if the port is taken."""
    tenants.read(settings.connectors_file)
    wanted = sources_file.load(settings.tool_sources_file) if settings.tool_sources_file else []
    async with _opened(settings, known) as opened:
        executor, sources = _executor(settings, opened), _sources(settings, opened)
        server = _server(settings, opened, executor, sources)
        retention = Retention(opened.ledger, days=settings.effects_kept_days, now=clock.now)
        await server.start(ready=False)
        log.info("tool-executor listens", host=settings.grpc.host, port=server.port)
        beside = (
            _kept_up(Outbox(opened.ledger, opened.producer), retention, stop),
            _sources_kept_up(settings, server, sources, wanted, stop),
            opened.permission.keep_up(stop),
            ToolOffering(opened.catalog, opened.producer, clock.now).run(stop),
        )
        try:
            await _until_stopped(server, executor, beside, stop)
        finally:
            await sources.aclose()


@asynccontextmanager
async def _opened(settings: Settings, known: Known) -> AsyncIterator[_Opened]:
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
        # Its tools come when the server listens already.
        catalog = Catalog(Registry(()), Tenants({}, {}), complete=False)
        yield _Opened(
            catalog=catalog,
            contexts=Contexts(catalog=catalog, known=known, now=clock.now),
            secrets=Secrets(store),
            permission=permission,
            sandbox=sandbox,
            ledger=ledger,
            postponed=postponed,
            producer=producer,
            source_store=source_store,
            source_kinds=source_kinds,
        )


def _sources(settings: Settings, opened: _Opened) -> Sources:
    found = partial(registry.found, settings.connectors, settings.tools_folder)
    python = PythonSources(
        modules=Modules(found, seconds=settings.source_offer_seconds),
        settings=partial(tenants.load, settings.connectors_file),
        store=opened.source_store,
        catalog=opened.catalog,
    )
    maker = Maker(
        kinds=opened.source_kinds,
        secret=opened.secrets.secret,
        read_seconds=settings.source_read_seconds,
        offer_seconds=settings.source_offer_seconds,
    )
    return Sources(maker=maker, store=opened.source_store, catalog=opened.catalog, python=python, now=clock.now)


def _server(settings: Settings, opened: _Opened, executor: Executor, sources: Sources) -> GrpcServer:
    catalog, contexts, permission = opened.catalog, opened.contexts, opened.permission
    servicer = ToolExecutorServicer(
        executor=executor,
        resolver=Resolver(catalog=catalog, contexts=contexts, ledger=opened.ledger, now=clock.now),
        catalog=catalog,
        ledger=opened.ledger,
        sources=sources,
        prober=Prober(
            catalog=catalog, sources=sources, executor=executor, permits=permission, secret=opened.secrets.secret
        ),
        authorising=Authorising(catalog=catalog, contexts=contexts, permits=permission, now=clock.now),
    )
    return GrpcServer(
        settings.grpc,
        [SERVICE],
        [lambda server: add_ToolExecutorServiceServicer_to_server(servicer, server)],
        max_message_bytes=MAX_DOCUMENT_BYTES,
    )


async def _sources_kept_up(
    settings: Settings,
    server: GrpcServer,
    sources: Sources,
    wanted: Sequence[sources_file.Wanted],
    stop: asyncio.Event,
) -> None:
    """Says that the server is ready when all tools are there, or have had their time. Raises what a first look does."""
    first = asyncio.create_task(sources.look(seconds=settings.sources_start_seconds))
    try:
        done, _ = await asyncio.wait({first}, timeout=settings.sources_start_seconds)
        if done:
            await first
        # What is loaded by now stays: looking at all of it again and again takes a fifth of a call's time.
        gc.collect()
        gc.freeze()
        await server.get_ready()
        log.info("tool-executor is ready", waits_for_tools=not done)
        await first
    finally:
        first.cancel()
    await asyncio.gather(
        sources.follow(stop, seconds=settings.sources_look_seconds), sources_file.bring_about(wanted, sources)
    )


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


def _executor(settings: Settings, opened: _Opened) -> Executor:
    return Executor(
        catalog=opened.catalog,
        contexts=opened.contexts,
        secrets=opened.secrets,
        permits=opened.permission,
        ledger=opened.ledger,
        tell=opened.postponed.add,
        limits=_limits(settings.limits),
        sandbox=opened.sandbox,
        lease_seconds=settings.lease_seconds,
        ambiguous_retry_seconds=settings.ambiguous_retry_seconds,
        cancel_grace_seconds=settings.cancel_grace_seconds,
        now=clock.now,
        new_id=lambda: token_hex(16),
    )


def _source_store(settings: Settings) -> SourceStore:
    """Where the ledger is: in its database, or in a file beside it."""
    if settings.ledger_url is None:
        return SourceStore(f"sqlite:///{settings.ledger_path.with_name('sources.sqlite3').resolve()}")
    return SourceStore(settings.ledger_url.get_secret_value())


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
