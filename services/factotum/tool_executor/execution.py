"""A call as it comes in: whether it is well formed, what it does, and who can end it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime
from operator import attrgetter

from factotum.events.envelope import TENANT_PATTERN
from factotum.sdk.sandbox import Sandbox
from factotum.sdk.spec import Effect, ToolSpec
from factotum.tool_executor import under_way
from factotum.tool_executor.calls import Answer, Approval, Call, Origin, SecretMarks
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.errors import CallRefused
from factotum.tool_executor.ledger import Ledger, Publication
from factotum.tool_executor.limits import Limits
from factotum.tool_executor.narrowing import narrowed
from factotum.tool_executor.policy.asking import Principal
from factotum.tool_executor.policy.judging import Given
from factotum.tool_executor.secrets import Secrets
from factotum.tool_executor.wrappers.authorised import Permits, conceivable, secrets_of_settings
from factotum.tool_executor.wrapping import Surroundings, wrapped

_TENANT = re.compile(TENANT_PATTERN.strip("^$"))

MAX_KEY_LENGTH = 512
MAX_ORIGIN_LENGTH = 1024

# What the attributes of a CloudEvent may not hold either.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

_FIELDS = tuple(field.name for field in fields(Origin))
_VALUES: Callable[[Origin], tuple[str, ...]] = attrgetter(*_FIELDS)


class Executor:
    """Carries out calls.

    Args:
        tell: takes the observation of a call that is not in the ledger.
        lease_seconds: how long an attempt that was killed keeps the next one waiting.
        ambiguous_retry_seconds: between looks whether a person decided.
        cancel_grace_seconds: how long a call may go on after it was asked to end.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        contexts: Contexts,
        secrets: Secrets,
        permits: Permits,
        sandbox: Sandbox,
        ledger: Ledger,
        tell: Callable[[Publication], Awaitable[None]],
        limits: Limits,
        lease_seconds: float,
        ambiguous_retry_seconds: float,
        cancel_grace_seconds: float = under_way.GRACE_SECONDS,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._catalog = catalog
        self._permits = permits
        self._contexts = contexts
        self._secrets = secrets
        self._now = now
        self._under_way = under_way.UnderWay(grace_seconds=cancel_grace_seconds)
        self._handle, self._ledgered = wrapped(
            Surroundings(
                catalog=catalog,
                contexts=contexts,
                secrets=secrets,
                permits=permits,
                sandbox=sandbox,
                ledger=ledger,
                tell=tell,
                limits=limits,
                lease_seconds=lease_seconds,
                ambiguous_retry_seconds=ambiguous_retry_seconds,
                under_way=self._under_way,
                now=now,
                new_id=new_id,
            )
        )

    async def execute(
        self,
        *,
        tenant: str,
        tool: str,
        arguments_json: str,
        key: str,
        origin: Origin,
        version: str = "",
        settle: bool = False,
        secrets: SecretMarks | None = None,
        approval: Approval | None = None,
    ) -> Answer:
        """What came of the call; an effect is carried out once per tenant and key.

        With `settle`, what came of an earlier one with this key; `NotDone` if it had no effect. `version` is
        the one that the caller's plan was checked against. `secrets` says which marks in the arguments the tool is
        given as values, `approval` which call a person approved.

        Raises `CallRefused`, `UnknownTool`, `LedgerUnavailable`.
        """
        check_tenant(tenant)
        found = self._catalog.tool(tenant, tool)
        check_key(key)
        check_origin(origin)
        if not settle:
            check_version(found.spec, version)
        call = Call(tenant, found, arguments_json, key, origin, self._now(), settle, secrets, approval)
        with self._under_way.entered(tenant, key, call.interruption):
            reserved = secrets_of_settings(call, self._catalog) if found.narrower is not None else None
            conceivable = found.narrower is None or self._conceivable(call, reserved)
            if settle or conceivable:
                # What became of an effect is told to whom it is no longer permitted, but not with others' secrets.
                given = self._secrets if conceivable or reserved is None else None
                if found.narrower is not None:
                    call = await narrowed(call, self._contexts, given)
                if not key and call.tool.spec.effect is not Effect.NONE:
                    raise CallRefused(f"{tool} has an effect: give an idempotency_key")
            return await self._handle(call)

    def _conceivable(self, call: Call, given: Given | None) -> bool:
        principal = Principal(call.tenant, call.origin.user, call.origin.procedure)
        source = self._catalog.origin(call.tenant, call.tool.spec.system)
        return conceivable(call.tool, principal, permits=self._permits, source=source, given=given)

    def cancel(self, tenant: str, key: str) -> bool:
        """Asks the call with this key to end; False if none is under way here. Raises `CallRefused`."""
        check_tenant(tenant)
        check_key(key)
        if not key:
            raise CallRefused("give the idempotency_key of the call")
        return self._under_way.cancel(tenant, key)

    async def drained(self) -> None:
        """Returns when no effect is under way."""
        await self._ledgered.drained()


def check_tenant(tenant: str) -> None:
    """Raises `CallRefused`."""
    if not _TENANT.fullmatch(tenant):
        raise CallRefused(f"tenant must match {TENANT_PATTERN}")


def check_key(key: str) -> None:
    """Raises `CallRefused`. Tools put the key into headers and ids, so it holds no control character."""
    if len(key) > MAX_KEY_LENGTH:
        raise CallRefused(f"idempotency_key must be at most {MAX_KEY_LENGTH} characters")
    if _CONTROL.search(key):
        raise CallRefused("idempotency_key must not hold control characters")


def check_version(spec: ToolSpec, wanted: str) -> None:
    """Raises `CallRefused` if the tool's major version is another than the one that was wanted."""
    if wanted and wanted.partition(".")[0] != spec.version.partition(".")[0]:
        raise CallRefused(f"{spec.name} is now {spec.version}; the plan was checked against {wanted}: plan it anew")


def check_origin(origin: Origin) -> None:
    """Raises `CallRefused`. What is accepted here can be told in an observation later."""
    values = _VALUES(origin)
    whole = "".join(values)
    if len(whole) <= MAX_ORIGIN_LENGTH and not _CONTROL.search(whole):
        return
    for field, value in zip(_FIELDS, values, strict=True):
        if len(value) > MAX_ORIGIN_LENGTH:
            raise CallRefused(f"origin.{field} must be at most {MAX_ORIGIN_LENGTH} characters")
        if _CONTROL.search(value):
            raise CallRefused(f"origin.{field} must not hold control characters")
