"""What every store of secrets is."""

from __future__ import annotations

from typing import Protocol


class SecretStore(Protocol):
    """Has the secrets of tenants and, delegated, of people. No tenant is given another's, no person another's, and
    a person's is never the tenant's in its place."""

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """The secret's value; with `user` that person's own. Raises `UnknownSecret`, `SecretsUnavailable`."""
