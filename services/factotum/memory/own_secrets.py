"""Secrets that the settings of the memory name: a server's token, an endpoint's key."""

from __future__ import annotations

import os
import time

from factotum.memory.settings import Settings
from factotum.runtime.secrets import names, stores
from factotum.runtime.secrets.mask import Known

# Whose secrets hold what belongs to the process and to no tenant.
PLATFORM = "platform"


async def resolved(settings: Settings, known: Known, reference: str) -> str:
    """Empty if there is no reference. Raises `UnknownSecret`, `SecretsUnavailable`."""
    if not reference:
        return ""
    async with stores.opened(
        settings.secrets, environment=os.environ, known=known, monotonic=time.monotonic
    ) as secrets:
        return await secrets.resolve(PLATFORM, names.name_of(reference))
