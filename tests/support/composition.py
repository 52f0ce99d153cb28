"""A tool executor put together as `factotum.tool_executor.main` does it, for tests of its parts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from factotum.runtime import clock
from factotum.runtime.groups import Groups, GroupsFile
from factotum.runtime.secrets.files import SecretFiles
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.store import SecretStore
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Ledger
from factotum.tool_executor.limits import BreakerRules, Limits
from factotum.tool_executor.policy.judging import Judge
from factotum.tool_executor.policy.policies import policies
from factotum.tool_executor.probing import Prober
from factotum.tool_executor.registry import AnyConnector, Registry
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from factotum.tool_executor.secrets import Secrets
from factotum.tool_executor.sources import kinds as all_kinds
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.making import Maker
from factotum.tool_executor.sources.mcp.machine import Machine
from factotum.tool_executor.sources.python import Modules, PythonSources
from factotum.tool_executor.sources.source import AnySource
from factotum.tool_executor.sources.store import SourceStore
from factotum.tool_executor.tenants import Tenants
from factotum.tool_executor.wrappers.authorised import Permits


def catalog_of(*connectors: AnyConnector, settings: Mapping[tuple[str, str], BaseModel] | None = None) -> Catalog:
    """These connectors; their settings by tenant and system."""
    return Catalog(Registry(connectors), Tenants(dict(settings or {}), {}))


def permits_of(text: str = '@id("all") permit(principal, action, resource);', **groups: dict[str, list[str]]) -> Judge:
    """Policies in Cedar; who is in which group, by tenant."""
    return Judge(policies({"test.cedar": text}), Groups(GroupsFile(tenants=groups)), where="test.cedar")


def contexts_of(catalog: Catalog, *, now: Callable[[], datetime] = clock.now) -> Contexts:
    return Contexts(catalog=catalog, known=Known(), now=now)


def secrets_of(directory: Path) -> Secrets:
    """The files `<directory>/<tenant>/<name>`, read anew each time."""
    return Secrets(SecretFiles(directory))


class _Installed(Modules):
    """What is there already."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(list, seconds=1)
        self._registry = registry

    async def loaded(self) -> Registry:
        return self._registry


@asynccontextmanager
async def sources_of(
    catalog: Catalog,
    folder: Path,
    *,
    kinds: Mapping[str, AnySource] | None = None,
    url: str = "",
    read_seconds: float = 5.0,
    offer_seconds: float = 5.0,
    look_seconds: float | None = None,
    modules: Modules | None = None,
    now: Callable[[], datetime] = clock.now,
) -> AsyncIterator[Sources]:
    """The sources that are kept in the folder, or where `url` says; secrets are in `folder`/secrets. Without `modules`
    the tools of Python stay those of the catalog."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SourceStore(url or f"sqlite:///{folder / 'sources.sqlite'}"))
        if kinds is None:
            kinds = await stack.enter_async_context(all_kinds.opened(Machine(), Bubblewrap()))
        maker = Maker(
            kinds=kinds,
            secret=secrets_of(folder / "secrets").secret,
            read_seconds=read_seconds,
            offer_seconds=offer_seconds,
        )
        python = PythonSources(
            modules=modules or _Installed(catalog.installed),
            settings=lambda _: catalog.tenants,
            store=store,
            catalog=catalog,
        )
        sources = Sources(maker=maker, store=store, catalog=catalog, python=python, now=now)
        stack.push_async_callback(sources.aclose)
        await sources.look(seconds=look_seconds)
        yield sources


# No breaker opens, so that a test may have a system fail as often as it likes.
UNBROKEN = Limits(
    line_seconds=0.2, breaker=BreakerRules(failures=0, window=timedelta(seconds=30), cool_down=timedelta(seconds=5))
)


def prober_of(
    catalog: Catalog, sources: Sources, executor: Executor, *, secrets: Path, permits: Permits | None = None
) -> Prober:
    return Prober(
        catalog=catalog,
        sources=sources,
        executor=executor,
        permits=permits or permits_of(),
        secret=secrets_of(secrets).secret,
    )


def executor_of(
    catalog: Catalog,
    ledger: Ledger,
    *,
    secrets: Path,
    lease_seconds: float = 5.0,
    ambiguous_retry_seconds: float = 5.0,
    cancel_grace_seconds: float = 0.1,
    now: Callable[[], datetime] = clock.now,
    new_id: Callable[[], str] = lambda: uuid4().hex,
    permits: Permits | None = None,
    limits: Limits = UNBROKEN,
    store: SecretStore | None = None,
) -> Executor:
    """An executor over these tools.

    Args:
        secrets: the folder of secrets, `<tenant>/<name>`.
        permits: says what is permitted; None: everything is.
        store: has the secrets in place of the folder.
    """
    return Executor(
        catalog=catalog,
        permits=permits or permits_of(),
        contexts=contexts_of(catalog, now=now),
        secrets=Secrets(store or SecretFiles(secrets)),
        ledger=ledger,
        tell=lambda publication: ledger.publish_later([publication]),
        limits=limits,
        sandbox=Bubblewrap(),
        lease_seconds=lease_seconds,
        ambiguous_retry_seconds=ambiguous_retry_seconds,
        cancel_grace_seconds=cancel_grace_seconds,
        now=now,
        new_id=new_id,
    )
