"""The stores of secrets that the settings choose, in their order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from factotum.runtime.secrets.cached import Cached
from factotum.runtime.secrets.environment import SecretVariables
from factotum.runtime.secrets.files import SecretFiles
from factotum.runtime.secrets.kubernetes import KubernetesSecrets
from factotum.runtime.secrets.mask import Known
from factotum.runtime.secrets.ordered import Ordered
from factotum.runtime.secrets.store import SecretStore
from factotum.runtime.secrets.vault import Vault
from factotum.runtime.settings import SecretsSettings


@asynccontextmanager
async def opened(
    settings: SecretsSettings,
    *,
    environment: Mapping[str, str],
    known: Known,
    monotonic: Callable[[], float],
) -> AsyncIterator[SecretStore]:
    """The secrets of this process. Nothing is asked before the first secret is.

    Args:
        environment: as `os.environ`.
        known: is told every value.
        monotonic: seconds that only grow.
    """
    seconds = settings.timeout_seconds
    async with AsyncExitStack() as stack:
        chosen: list[SecretStore] = []
        for provider in settings.providers:
            match provider:
                case "files":
                    chosen.append(SecretFiles(settings.directory))
                case "environment":
                    chosen.append(SecretVariables(environment))
                case "vault":
                    chosen.append(
                        await stack.enter_async_context(
                            Vault(settings.vault, timeout_seconds=seconds, known=known, monotonic=monotonic)
                        )
                    )
                case "kubernetes":
                    chosen.append(
                        await stack.enter_async_context(
                            KubernetesSecrets(settings.kubernetes, timeout_seconds=seconds, known=known)
                        )
                    )
        yield Cached(
            Ordered(chosen),
            seconds=settings.cache_seconds,
            timeout_seconds=seconds,
            known=known,
            monotonic=monotonic,
        )
