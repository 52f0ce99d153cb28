"""The file of groups: who is meant by `group:NAME` in an approval, and by `Group::"tenant/NAME"` in a policy.

tenants:
  acme:
    it: [ada, grace]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from factotum.events.envelope import TENANT_PATTERN, describe

Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class GroupsInvalid(ValueError):
    """The file of groups cannot be used."""


class GroupsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    tenants: dict[Tenant, dict[Name, list[Name]]] = {}


class Groups:
    """The people of each tenant's groups."""

    def __init__(self, file: GroupsFile) -> None:
        self._tenants = file.tenants

    def of(self, tenant: str, person: str) -> list[str]:
        """The groups that a person is in."""
        return [name for name, people in self._tenants.get(tenant, {}).items() if person in people]

    def anybody(self, tenant: str, group: str) -> bool:
        """Whether there is anybody in a group."""
        return bool(self._tenants.get(tenant, {}).get(group))


def load(path: Path | None) -> Groups:
    """Reads the file; without one there are no groups. Raises `GroupsInvalid` if it has not the shape shown above."""
    if path is None:
        return Groups(GroupsFile())
    try:
        return Groups(GroupsFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {}))
    except OSError as error:
        raise GroupsInvalid(f"{path} cannot be read: {error.strerror}. Set FACTOTUM_GROUPS_FILE.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GroupsInvalid(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        raise GroupsInvalid(f"{path}: {describe(error)}") from error
