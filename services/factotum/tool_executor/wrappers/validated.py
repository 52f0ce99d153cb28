"""Nothing goes further whose arguments the tool's model refuses or whose tenant has not the system."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from factotum.runtime.secrets import SecretDirectory, UnknownSecret
from factotum.sdk.context import ToolContext
from factotum.sdk.errors import InvalidArgument, NotPermitted
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared
from factotum.tool_executor.errors import presentable
from factotum.tool_executor.tenants import Tenants


class Validated:
    """Raises `InvalidArgument` naming each faulty place as a JSON pointer, `NotPermitted`."""

    def __init__(
        self, inner: Handler[Answer], *, tenants: Tenants, secrets: SecretDirectory, now: Callable[[], datetime]
    ) -> None:
        self._inner = inner
        self._tenants = tenants
        self._secrets = secrets
        self._now = now

    async def __call__(self, call: Call) -> Answer:
        try:
            arguments = call.tool.arguments.model_validate_json(call.arguments_json)
        except ValidationError as error:
            raise InvalidArgument(presentable(f"{call.tool.spec.name}: {faults(error)}")) from None
        context: ToolContext[Any] = ToolContext(
            tenant=call.tenant,
            idempotency_key=call.key,
            run_id=call.origin.run_id,
            settings=self._tenants.settings(call.tenant, call.tool.spec.system),
            secret=lambda reference: self._secret(call.tenant, reference),
            now=self._now,
        )
        return await self._inner(Prepared(call, arguments, context))

    def _secret(self, tenant: str, reference: str) -> str:
        try:
            return self._secrets.resolve(tenant, reference)
        except UnknownSecret as error:
            raise NotPermitted(str(error)) from error


def faults(error: ValidationError) -> str:
    """The faults in one line, without the refused values: those may be secrets or personal data."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{_pointer(fault['loc'])}: {fault['msg']}" for fault in found)


def _pointer(place: tuple[int | str, ...]) -> str:
    # RFC 6901
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place) or "the arguments"
