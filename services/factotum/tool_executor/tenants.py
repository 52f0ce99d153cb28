"""The file of connectors' settings: which systems each tenant has, and how they are reached.

tenants:
  acme:
    identity: {base_url: https://idp.example/acme/v2, token: secret://identity-token}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from factotum.events.envelope import TENANT_PATTERN, describe
from factotum.runtime.secrets.names import name_of
from factotum.sdk.errors import NotPermitted
from factotum.tool_executor.errors import ConnectorsInvalid
from factotum.tool_executor.references import references
from factotum.tool_executor.registry import Registry

log = structlog.get_logger(__name__)

Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]


class ConnectorsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[Tenant, dict[str, dict[str, Any]]] = {}


class Tenants:
    """Each tenant's settings by system, validated by the connectors' own models.

    Args:
        written: what the file says of each tenant.
    """

    def __init__(
        self,
        settings: dict[tuple[str, str], BaseModel],
        faults: dict[tuple[str, str], str],
        written: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._written = written or {}

    @property
    def names(self) -> frozenset[str]:
        """The tenants that the file names."""
        return frozenset(self._written) | {tenant for tenant, _ in self._settings}

    def secrets(self, tenant: str) -> frozenset[str]:
        """The names that settings refer to, also those that cannot be used."""
        used = [settings for (whose, _), settings in self._settings.items() if whose == tenant]
        return frozenset(map(name_of, references([*used, self._written.get(tenant)])))

    def has(self, tenant: str, system: str) -> bool:
        """Whether there are settings that can be used."""
        return (tenant, system) in self._settings

    def settings(self, tenant: str, system: str) -> BaseModel:
        """Raises `NotPermitted` where the tenant has none, or none that can be used."""
        key = (tenant, system)
        if key in self._settings:
            return self._settings[key]
        where = f"tenants.{tenant}.{system} of the file FACTOTUM_CONNECTORS_FILE"
        if key in self._faults:
            raise NotPermitted(f"the settings {where} cannot be used: {self._faults[key]}")
        raise NotPermitted(f"tenant {tenant} has no settings for {system}: add them as {where}, then restart")


def read(path: Path) -> ConnectorsFile:
    """Raises `ConnectorsInvalid`."""
    try:
        return ConnectorsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except OSError as error:
        raise ConnectorsInvalid(f"{path} cannot be read: {error.strerror}. Set FACTOTUM_CONNECTORS_FILE.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConnectorsInvalid(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        raise ConnectorsInvalid(f"{path}: {describe(error)}") from error


def load(path: Path, registry: Registry) -> Tenants:
    """Reads the file. Raises `ConnectorsInvalid` if it has not the shape shown above.

    Settings that their connector refuses take that one system from that one tenant; it is logged.
    """
    file = read(path)
    settings: dict[tuple[str, str], BaseModel] = {}
    faults: dict[tuple[str, str], str] = {}
    for tenant, systems in file.tenants.items():
        for system, values in systems.items():
            if system not in registry.connectors:
                log.warning("settings of an unknown system", tenant=tenant, system=system)
                continue
            try:
                settings[tenant, system] = registry.connectors[system].settings.model_validate(values)
            except ValidationError as error:
                faults[tenant, system] = describe(error)
                log.error("settings refused", tenant=tenant, system=system, reason=describe(error))
    return Tenants(settings, faults, file.tenants)
