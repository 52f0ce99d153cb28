"""What each tenant can do: the tools of the installed connectors, and those of the sources that it added."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from factotum.runtime.secrets.names import name_of
from factotum.tool_executor.errors import ToolComing, UnknownTool
from factotum.tool_executor.references import references
from factotum.tool_executor.registry import AnyConnector, AnyTool, Registry
from factotum.tool_executor.sources.source import Offer
from factotum.tool_executor.tenants import Tenants

Json = Any


class SystemTaken(Exception):
    """A source was to have the name of a system that is an installed connector's."""


class Catalog:
    """Tools by tenant and name. What one tenant added, no other sees.

    A tool that a call was given stays that tool until the call ends, whatever is put in its place.

    Args:
        complete: off, a tool that is not there is taken to be on its way until `completed`.
    """

    def __init__(self, registry: Registry, tenants: Tenants, *, complete: bool = True) -> None:
        self._registry = registry
        self._tenants = tenants
        self._complete = complete
        self._coming: set[tuple[str, str]] = set()
        self._removed: frozenset[tuple[str, str]] = frozenset()
        self._offers: dict[str, dict[str, Offer]] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        self._defined: dict[str, dict[str, frozenset[str]]] = {}
        self._secrets: dict[str, frozenset[str]] = {}

    def tools(self, tenant: str) -> list[AnyTool]:
        """By name."""
        offered = [tool for offer in self._offers.get(tenant, {}).values() for tool in offer.connector.tools.values()]
        installed = [tool for tool in self._registry.tools if (tenant, tool.spec.system) not in self._removed]
        return sorted([*installed, *offered], key=lambda tool: tool.spec.name)

    def tool(self, tenant: str, name: str) -> AnyTool:
        """Raises `UnknownTool`, `ToolComing`."""
        system = name.partition(".")[0]
        offer = self._offers.get(tenant, {}).get(system)
        if (tenant, system) in self._removed and offer is None and system in self._registry.connectors:
            raise UnknownTool(
                f"{system!r} was removed for {tenant}: `factotum tools add python {system}` brings it back"
            )
        try:
            return self._registry.tool(name) if offer is None else offer.connector.tools[name]
        except KeyError:
            self._check_settled(tenant, system)
            raise UnknownTool(f"the source {system!r} has no tool {name!r}; `factotum tools list` shows all") from None
        except UnknownTool:
            self._check_settled(tenant, system)
            raise

    def check_there(self, tenant: str, names: frozenset[str]) -> None:
        """Raises `ToolComing` where one of these tools, or of all where none is named, may be there in a moment."""
        if not self._complete:
            raise _coming("the tool executor has just begun")
        there = {tool.spec.name for tool in self.tools(tenant)} if names and self._coming else names
        for name in names - there:
            self._check_settled(tenant, name.partition(".")[0])

    def _check_settled(self, tenant: str, system: str) -> None:
        if not self._complete:
            raise _coming("the tool executor has just begun")
        if (tenant, system) in self._coming:
            raise _coming(f"the tools of {system!r} are being made")

    def settings(self, tenant: str, system: str) -> BaseModel:
        """What a call of the system's tools is given. Raises `NotPermitted` where the tenant has none."""
        offer = self._offers.get(tenant, {}).get(system)
        return self._tenants.settings(tenant, system) if offer is None else offer.settings

    def has_settings(self, tenant: str, system: str) -> bool:
        return system in self._offers.get(tenant, {}) or self._tenants.has(tenant, system)

    def connector(self, tenant: str, system: str) -> AnyConnector | None:
        offer = self._offers.get(tenant, {}).get(system)
        return self._registry.connectors.get(system) if offer is None else offer.connector

    def origin(self, tenant: str, system: str) -> str:
        """Where the system's tools come from: `installed`, `folder`, or the kind of a source."""
        return self._kinds.get((tenant, system)) or self._registry.origin(system)

    def secrets(self, tenant: str) -> frozenset[str]:
        """The names of the tenant's secrets that its settings, its sources or its tools refer to."""
        if tenant not in self._secrets:
            offers = self._offers.get(tenant, {}).values()
            self._secrets[tenant] = self._tenants.secrets(tenant).union(
                *self._defined.get(tenant, {}).values(),
                map(name_of, references([offer.settings for offer in offers])),
                (need.name for tool in self.tools(tenant) for need in tool.spec.secrets if not need.delegated),
            )
        return self._secrets[tenant]

    def defined(self, tenant: str, system: str, config: Json) -> None:
        """Says what a source is defined by, whether or not it has tools; None: it is none any more."""
        self._defined.setdefault(tenant, {})[system] = frozenset(map(name_of, references(config)))
        self._secrets.pop(tenant, None)

    @property
    def installed(self) -> Registry:
        """The tools of Python, which are the same for all tenants."""
        return self._registry

    @property
    def tenants(self) -> Tenants:
        """Their settings of these."""
        return self._tenants

    def known_tenants(self) -> list[str]:
        """Those with settings of tools of Python, usable or not, and those with sources; by name."""
        return sorted({*self._tenants.names, *self._offers, *self._defined})

    def is_settled(self, tenant: str) -> bool:
        """Whether no tools of the tenant are on their way."""
        return self._complete and not any(whose == tenant for whose, _ in self._coming)

    def install(self, registry: Registry, tenants: Tenants) -> None:
        """Puts these tools of Python in place of those there were; a source of one of their names has none any more."""
        self._registry, self._tenants = registry, tenants
        for tenant, offers in self._offers.items():
            for system in offers.keys() & registry.connectors.keys():
                self.take_out(tenant, system)
        self._secrets.clear()

    def remove_installed(self, removed: frozenset[tuple[str, str]]) -> None:
        """Says which systems of Python which tenants do not have."""
        self._removed = removed
        self._secrets.clear()

    def has_removed(self, tenant: str, system: str) -> bool:
        return (tenant, system) in self._removed

    def come(self, tenant: str, system: str) -> None:
        """Says that the source's tools are being made."""
        self._coming.add((tenant, system))

    def came(self, tenant: str, system: str) -> None:
        """Says that they are there, or will not be."""
        self._coming.discard((tenant, system))

    def completed(self) -> None:
        """Says that all tools of Python are there, and that it is known which sources are coming."""
        self._complete = True

    def check_free(self, system: str) -> None:
        """Raises `SystemTaken` for a system that no source can have, `ToolComing` while that is not known."""
        if not self._complete:
            raise _coming("the tool executor has just begun")
        if system in self._registry.connectors:
            raise SystemTaken(f"{system!r} is an installed connector: give the source another name")

    def put(self, tenant: str, offer: Offer, *, kind: str = "source") -> None:
        """Adds the tools of a source, in place of those it had. Raises `SystemTaken`."""
        system = offer.connector.system
        self.check_free(system)
        self._offers.setdefault(tenant, {})[system] = offer
        self._kinds[tenant, system] = kind
        self._secrets.pop(tenant, None)

    def take_out(self, tenant: str, system: str) -> None:
        self._offers.get(tenant, {}).pop(system, None)
        self._kinds.pop((tenant, system), None)
        self._secrets.pop(tenant, None)


def _coming(why: str) -> ToolComing:
    return ToolComing(f"{why}: ask again in a moment")
