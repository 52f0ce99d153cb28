"""Secrets in files: `<directory>/<tenant>/<name>` and `<directory>/<tenant>/users/<user>/<name>`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import SecretsUnavailable

USERS = "users"


class SecretFiles:
    """One file a secret, the shape in which Kubernetes mounts them; read anew each time. How a user's name is
    written says `names.folder`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`."""
        # A folder may be mounted from elsewhere.
        return await asyncio.to_thread(self.read, tenant, name, user=user)

    def read(self, tenant: str, name: str, *, user: str = "") -> str:
        """The value, without the trailing newline. Raises `UnknownSecret`, `SecretsUnavailable`."""
        path = self.path(tenant, name, user=user)
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise names.unknown(tenant, name, user, str(path)) from None
        except UnicodeDecodeError:  # without the cause: it holds the bytes
            raise SecretsUnavailable(f"{path} is not UTF-8 text") from None
        except OSError as error:
            raise SecretsUnavailable(f"{path} cannot be read: {error.strerror}") from error

    def path(self, tenant: str, name: str, *, user: str = "") -> Path:
        """Where the secret is, or has to be put. Raises `UnknownSecret` for what can be no name."""
        names.check(tenant, name, user)
        owner = self._directory / tenant
        return (owner / USERS / names.folder(user) / name) if user else owner / name
