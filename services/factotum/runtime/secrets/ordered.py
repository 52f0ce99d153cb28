"""Several stores, asked one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from factotum.runtime.secrets import names
from factotum.runtime.secrets.errors import UnknownSecret
from factotum.runtime.secrets.store import SecretStore


class Ordered:
    """The first store that has a secret gives it. One that is away ends the search: what a later one has may be
    another value."""

    def __init__(self, stores: Sequence[SecretStore]) -> None:
        self._stores = stores

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        """See `SecretStore`."""
        missing: list[UnknownSecret] = []
        for store in self._stores:
            try:
                return await store.resolve(tenant, name, user=user)
            except UnknownSecret as error:
                missing.append(error)
        places = [error.place for error in missing if error.place]
        if len(missing) == 1 or not places:
            raise missing[0]
        raise names.unknown(tenant, name, user, ", or into ".join(places))
