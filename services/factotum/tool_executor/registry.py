"""The catalog: every tool of every connector that could be loaded."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
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
    """Connectors by system, tools by name. Of two connectors of one system the first counts.

    Args:
        in_folder: connectors whose modules lie in the folder of tools.
    """

    def __init__(self, connectors: Iterable[AnyConnector], in_folder: Iterable[AnyConnector] = ()) -> None:
        self.connectors: dict[str, AnyConnector] = {}
        for connector in connectors:
            self.connectors.setdefault(connector.system, connector)
        self._in_folder = {connector.system for connector in in_folder} - self.connectors.keys()
        for connector in in_folder:
            self.connectors.setdefault(connector.system, connector)
        self._tools: dict[str, AnyTool] = {
            name: tool for connector in self.connectors.values() for name, tool in connector.tools.items()
        }

    @property
    def tools(self) -> list[AnyTool]:
        """By name."""
        return [self._tools[name] for name in sorted(self._tools)]

    def origin(self, system: str) -> str:
        """`installed` or `folder`."""
        return "folder" if system in self._in_folder else "installed"

    def tool(self, name: str) -> AnyTool:
        """Raises `UnknownTool`."""
        try:
            return self._tools[name]
        except KeyError:
            raise UnknownTool(f"no connector has a tool {name!r}; `factotum tools list` shows all") from None


def load(modules: Sequence[str] | None, folder: Path | None = None) -> Registry:
    """Imports the named modules, or those of the entry-point group, and every `*.py` of the folder that does not begin
    with an underscore. One that cannot be used is logged and left out; the others work.

    All of them run as code of this process: what is in the folder is trusted as Factotum itself is.
    """
    names = sorted({point.value for point in entry_points(group=GROUP)}) if modules is None else modules
    installed = _usable({name: partial(importlib.import_module, name) for name in names}, set())
    files = [] if folder is None else _files(folder)
    taken = {connector.system for connector in installed}
    return Registry(installed, _usable({str(file): partial(_executed, file) for file in files}, taken))


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        log.error("folder of tools left out", folder=str(folder), reason="there is no such folder")
    return sorted(file for file in folder.glob("*.py") if not file.name.startswith("_"))


def _usable(modules: Mapping[str, Callable[[], ModuleType]], taken: set[str]) -> list[AnyConnector]:
    connectors: dict[str, AnyConnector] = {}
    for name, imported in modules.items():
        try:
            connector = _connector(imported())
            if connector.system in connectors or connector.system in taken:
                raise UnusableConnector(f"another module already has the system {connector.system!r}")
        # A third party's module may raise anything while it is imported, and a script ends with sys.exit().
        except (Exception, SystemExit) as error:
            log.error("connector left out", module=name, reason=f"{type(error).__name__}: {error}")
        else:
            connectors[connector.system] = connector
    return list(connectors.values())


def _executed(file: Path) -> ModuleType:
    """The module of a file, under a name that is no other module's."""
    name = f"factotum_tools_folder.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UnusableConnector(f"{file.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Models with postponed annotations look their module up by its name.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _connector(module: ModuleType) -> AnyConnector:
    connector = getattr(module, "connector", None)
    if not isinstance(connector, Connector):
        raise UnusableConnector("it has no module-level `connector: factotum.sdk.tool.Connector`")
    for name, tool in connector.tools.items():
        spec = tool.spec
        if spec.effect is not Effect.NONE and spec.idempotency is Idempotency.RECONCILE and tool.reconciler is None:
            raise UnusableConnector(f"{name} is declared Idempotency.RECONCILE and has no @reconcile function")
    return connector
