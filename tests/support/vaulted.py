"""A connector that uses secrets of every kind, and an executor with a store of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from factotum.sdk.context import ToolContext
from factotum.sdk.errors import Conflict
from factotum.sdk.spec import Effect, Idempotency, SecretNeed
from factotum.sdk.tool import Connector
from factotum.tool_executor.calls import Answer, Origin, SecretMarks
from factotum.tool_executor.execution import Executor
from factotum.tool_executor.ledger import Ledger
from tests.support.composition import catalog_of, executor_of
from tests.support.secret_stores import HeldStore

TIMEOUT_SECONDS = 0.2


class Login(BaseModel):
    name: str
    password: str


class VaultedSettings(BaseModel):
    logins: list[Login] = [Login(name="ada", password="secret://of-settings")]
    by_header: dict[str, str] = {"X-Key": "secret://in-a-map"}
    note: str = "see secret://in-a-sentence"


class PlainSettings(BaseModel):
    pass


class Asked(BaseModel):
    use: list[str] = []
    declared: str = ""
    then: str = ""


class Told(BaseModel):
    values: list[str] = []


connector = Connector("vaulted", settings=VaultedSettings)
plain = Connector("plain", settings=PlainSettings)
given: list[str] = []


async def _use(arguments: Asked, context: ToolContext[Any]) -> Told:
    found = [context.secret(f"secret://{name}") for name in arguments.use]
    found += [context.declared_secret(arguments.declared)] if arguments.declared else []
    given.extend(found)
    if arguments.then == "conflict":
        error = Conflict(f"taken: {found}", effect_possible=False)
        error.add_note(f"with {found}")
        raise error from ValueError(f"{found}")
    if arguments.then == "raise":
        raise RuntimeError(f"at {found}")
    if arguments.then == "exit":
        sys.exit(f"at {found}")
    if arguments.then == "report":
        context.report(f"at {found}", 0.5)
    if arguments.then == "make":
        context.conceal("made-of-a-secret")
        return Told(values=["made-of-a-secret"])
    return Told(values=[f"<{value}>" for value in found])


@connector.tool(effect=Effect.SEND, idempotency=Idempotency.NONE, timeout_seconds=TIMEOUT_SECONDS)
async def send(arguments: Asked, context: ToolContext[VaultedSettings]) -> Told:
    """Use secrets of the settings."""
    return await _use(arguments, context)


@connector.tool(
    effect=Effect.NONE,
    secrets=[SecretNeed(name="of-tool"), SecretNeed(name="of-person", delegated=True)],
)
async def act_as(arguments: Asked, context: ToolContext[VaultedSettings]) -> Told:
    """Use secrets that the tool names."""
    return await _use(arguments, context)


@plain.tool(effect=Effect.NONE)
async def read(arguments: Asked, context: ToolContext[Any]) -> Told:
    """Use no secret."""
    return await _use(arguments, context)


@connector.tool(effect=Effect.EXECUTE, idempotency=Idempotency.NATIVE)
async def narrow(arguments: Asked, context: ToolContext[Any]) -> Told:
    """Do what the arguments say."""
    return Told()


@narrow.narrow
async def nature(arguments: Asked, context: ToolContext[Any]) -> tuple[Effect, Idempotency]:
    if arguments.declared:
        context.declared_secret(arguments.declared)
    return Effect.EXECUTE if arguments.then == "execute" else Effect.NONE, Idempotency.NATIVE


VALUES: dict[tuple[str, str, str], str | Exception] = {
    ("acme", "of-settings", ""): "value-of-settings",
    ("acme", "in-a-map", ""): "value-in-a-map",
    ("acme", "of-tool", ""): "value-of-tool",
    ("acme", "of-person", ""): "value-of-the-tenant",
    ("acme", "of-person", "ada"): "value-of-ada",
    ("acme", "declared", ""): "value-declared",
    ("acme", "other", ""): "value-of-none",
}
OF_SETTINGS = {("acme", "of-settings", ""), ("acme", "in-a-map", "")}
DOCUMENT = SecretMarks("n0nce", frozenset({"declared", "of-document"}))


class House:
    def __init__(self, folder: Path, ledger: Ledger, store: HeldStore) -> None:
        self.store = store
        self.ledger = ledger
        self._folder = folder
        self.executor = self.made()

    def made(self, **more: Any) -> Executor:
        catalog = catalog_of(
            connector, plain, settings={("acme", "vaulted"): VaultedSettings(), ("acme", "plain"): PlainSettings()}
        )
        self.executor = executor_of(catalog, self.ledger, secrets=self._folder, store=self.store, **more)
        return self.executor

    async def call(self, tool: str, *, user: str = "", key: str = "k", **arguments: Any) -> Answer:
        approval = arguments.pop("approval", None)
        settle = arguments.pop("settle", False)
        secrets = arguments.pop("secrets", DOCUMENT)
        return await self.executor.execute(
            tenant="acme",
            tool=tool,
            arguments_json=json.dumps(arguments),
            key=key,
            origin=Origin(run_id="run", user=user),
            secrets=secrets,
            approval=approval,
            settle=settle,
        )

    @property
    def asked(self) -> set[tuple[str, str, str]]:
        return set(self.store.asked)
