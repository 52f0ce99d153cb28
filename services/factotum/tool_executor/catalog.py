"""What each tenant can do: the tools of the installed connectors, and those of the sources that it added."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from factotum.runtime.secrets.names import name_of
from factotum.tool_executor.errors import UnknownTool
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
    """

    def __init__(self, registry: Registry, tenants: Tenants) -> None:
        self._registry = registry
        self._tenants = tenants
        self._offers: dict[str, dict[str, Offer]] = {}
        self._kinds: dict[tuple[str, str], str] = {}
        self._defined: dict[str, dict[str, frozenset[str]]] = {}
        self._secrets: dict[str, frozenset[str]] = {}

    def tools(self, tenant: str) -> list[AnyTool]:
        """By name."""
        offered = [tool for offer in self._offers.get(tenant, {}).values() for tool in offer.connector.tools.values()]
        return sorted([*self._registry.tools, *offered], key=lambda tool: tool.spec.name)

    def tool(self, tenant: str, name: str) -> AnyTool:
        """Raises `UnknownTool`."""
        offer = self._offers.get(tenant, {}).get(name.partition(".")[0])
        if offer is None:
            return self._registry.tool(name)
        try:
            return offer.connector.tools[name]
        except KeyError:
            raise UnknownTool(
                f"the source {offer.connector.system!r} has no tool {name!r}; `factotum tools list` shows all"
            ) from None

    def settings(self, tenant: str, system: str) -> BaseModel:
        """What a call of the system's tools is given. Raises `NotPermitted` where the tenant has none."""
        offer = self._offers.get(tenant, {}).get(system)
        return self._tenants.settings(tenant, system) if offer is None else offer.settings

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

    def check_free(self, system: str) -> None:
        """Raises `SystemTaken` for a system that no source can have."""
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
