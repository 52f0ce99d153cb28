"""The catalog: every tool of every connector that could be loaded."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType, ModuleType
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
        modules: what each connector was imported by, by system.
        left_out: modules that have no connector that can be used, with why.
    """

    def __init__(
        self,
        connectors: Iterable[AnyConnector],
        in_folder: Iterable[AnyConnector] = (),
        *,
        modules: Mapping[str, str] = MappingProxyType({}),
        left_out: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.modules = modules
        self.left_out = left_out
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


@dataclass(frozen=True, slots=True)
class Module:
    """Where a connector may be: `name` is what it is imported by, `place` is `installed` or `folder`; of a file
    `content` is what it holds."""

    name: str
    place: str
    imported: Callable[[], ModuleType]
    content: bytes = b""


# Of a module, its connector or why it has none that can be used.
Tried: TypeAlias = "AnyConnector | str"


def found(modules: Sequence[str] | None, folder: Path | None = None) -> list[Module]:
    """The named modules, or those of the entry-point group, and every `*.py` of the folder that does not begin with an
    underscore. Imports none of them."""
    importlib.invalidate_caches()
    names = sorted({point.value for point in entry_points(group=GROUP)}) if modules is None else modules
    installed = [Module(name, "installed", partial(importlib.import_module, name)) for name in names]
    return [*installed, *([] if folder is None else _files(folder))]


def tried(module: Module) -> Tried:
    """Imports it, as code of this process: what is installed or in the folder is trusted as Factotum itself is."""
    try:
        return _connector(module.imported())
    # A third party's module may raise anything while it is imported, and a script ends with sys.exit().
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {error}"


def made(outcomes: Iterable[tuple[Module, Tried]]) -> Registry:
    """Of those that can be used. The others are logged, and left out."""
    connectors: dict[str, AnyConnector] = {}
    in_folder: list[AnyConnector] = []
    modules: dict[str, str] = {}
    left_out: dict[str, str] = {}
    for module, outcome in outcomes:
        if isinstance(outcome, Connector) and outcome.system in connectors:
            outcome = f"another module already has the system {outcome.system!r}"
        if isinstance(outcome, str):
            log.error("connector left out", module=module.name, reason=outcome)
            left_out[module.name] = outcome
            continue
        connectors[outcome.system] = outcome
        modules[outcome.system] = module.name
        if module.place == "folder":
            in_folder.append(outcome)
    installed = [connector for connector in connectors.values() if connector not in in_folder]
    return Registry(installed, in_folder, modules=modules, left_out=left_out)


def load(modules: Sequence[str] | None, folder: Path | None = None) -> Registry:
    """All that are found, imported."""
    return made([(module, tried(module)) for module in found(modules, folder)])


def _files(folder: Path) -> Iterator[Module]:
    if not folder.is_dir():
        log.error("folder of tools left out", folder=str(folder), reason="there is no such folder")
    for file in sorted(folder.glob("*.py")):
        if not file.name.startswith("_"):
            try:
                content = file.read_bytes()
            except OSError:  # told when it is imported
                content = b""
            yield Module(str(file), "folder", partial(_executed, file), content)


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
