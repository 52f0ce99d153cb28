"""The catalog: every tool of every connector that could be loaded."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points
from typing import Any, TypeAlias

import structlog

from factotum.sdk.spec import Effect, Idempotency
from factotum.sdk.tool import Connector, Tool
from factotum.tool_executor.errors import UnknownTool

log = structlog.get_logger(__name__)

GROUP = "factotum.tools"

AnyTool: TypeAlias = Tool[Any, Any, Any]
AnyConnector: TypeAlias = Connector[Any]


class UnusableConnector(Exception):
    """A module is not what a connector must be."""


class Registry:
    """Connectors by system, tools by name. Of two connectors of one system the first counts."""

    def __init__(self, connectors: Iterable[AnyConnector]) -> None:
        self.connectors: dict[str, AnyConnector] = {}
        for connector in connectors:
            self.connectors.setdefault(connector.system, connector)
        self._tools: dict[str, AnyTool] = {
            name: tool for connector in self.connectors.values() for name, tool in connector.tools.items()
        }

    @property
    def tools(self) -> list[AnyTool]:
        """By name."""
        return [self._tools[name] for name in sorted(self._tools)]

    def tool(self, name: str) -> AnyTool:
        """Raises `UnknownTool`."""
        try:
            return self._tools[name]
        except KeyError:
            raise UnknownTool(f"no connector has a tool {name!r}; `factotum tools list` shows all") from None


def load(modules: Sequence[str] | None) -> Registry:
    """Imports the named modules, or those of the entry-point group. One that cannot be used is logged
    and left out; the others work."""
    names = sorted({point.value for point in entry_points(group=GROUP)}) if modules is None else modules
    connectors: dict[str, AnyConnector] = {}
    for name in names:
        try:
            connector = _connector(name)
            if connector.system in connectors:
                raise UnusableConnector(f"another module already has the system {connector.system!r}")
        # A third party's module may raise anything while it is imported.
        except Exception as error:
            log.error("connector left out", module=name, reason=f"{type(error).__name__}: {error}")
        else:
            connectors[connector.system] = connector
    return Registry(connectors.values())


def _connector(module: str) -> AnyConnector:
    connector = getattr(importlib.import_module(module), "connector", None)
    if not isinstance(connector, Connector):
        raise UnusableConnector("it has no module-level `connector: factotum.sdk.tool.Connector`")
    for name, tool in connector.tools.items():
        spec = tool.spec
        if spec.effect is not Effect.NONE and spec.idempotency is Idempotency.RECONCILE and tool.reconciler is None:
            raise UnusableConnector(f"{name} is declared Idempotency.RECONCILE and has no @reconcile function")
    return connector
