"""Stores of secrets whose answers a test holds in its hand."""

from __future__ import annotations

import asyncio
from collections import Counter

from factotum.runtime.secrets import names

Key = tuple[str, str, str]


class HeldStore:
    """Answers from `values`, an exception by raising it, and while `held` not at all; counts what it was asked."""

    def __init__(self, values: dict[Key, str | Exception] | None = None) -> None:
        self.values = values or {}
        self.asked: Counter[Key] = Counter()
        self.free = asyncio.Event()
        self.free.set()

    async def resolve(self, tenant: str, name: str, *, user: str = "") -> str:
        key = (tenant, name, user)
        self.asked[key] += 1
        await self.free.wait()
        value = self.values.get(key)
        if value is None:
            raise names.unknown(tenant, name, user, f"the shelf of {tenant}")
        if isinstance(value, Exception):
            raise value
        return value
