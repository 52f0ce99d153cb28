"""Nothing is called that policy does not permit: no effect, and no read."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from pydantic_core import PydanticSerializationError, from_json

from factotum.sdk.errors import NotPermitted
from factotum.sdk.spec import Effect
from factotum.tool_executor import marks
from factotum.tool_executor.calls import Answer, Call, Handler, Prepared
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.policy.asking import Principal, Wanted, wanted
from factotum.tool_executor.policy.judging import Given
from factotum.tool_executor.policy.verdicts import Judgement, Verdict
from factotum.tool_executor.registry import AnyTool


class Permits(Protocol):
    """Says whether a call is permitted: `policy.judging.Judge`, `policy.folders.Permission`."""

    def judge(self, principal: Principal, tool: Wanted, given: Given | None = None) -> Judgement: ...


class Authorised:
    """Raises `NotPermitted` with what policy says.

    A call to settle does nothing new: its effect was permitted when it was entered, and who lost the permission since
    must still learn what became of it. Everything else is judged anew at each attempt, compensations too.
    """

    def __init__(self, inner: Handler[Answer], *, permits: Permits, catalog: Catalog) -> None:
        self._inner = inner
        self._permits = permits
        self._catalog = catalog

    async def __call__(self, prepared: Prepared) -> Answer:
        call = prepared.call
        if call.settle:
            return await self._inner(prepared)
        origin, spec = call.origin, call.tool.spec
        principal = Principal(call.tenant, origin.user, origin.procedure)
        tool = wanted(spec, source=self._catalog.origin(call.tenant, spec.system))
        judgement = self._permits.judge(principal, tool)
        settings = secrets_of_settings(call, self._catalog)
        if judgement.verdict is Verdict.DEPENDS or settings is not None:
            given = replace(_given(prepared), reserved=settings.reserved if settings is not None else frozenset())
            judgement = self._permits.judge(principal, tool, given)
        if judgement.verdict is not Verdict.ALLOWED:
            raise NotPermitted(judgement.explanation)
        return await self._inner(prepared)


def conceivable(
    tool: AnyTool, principal: Principal, *, permits: Permits, source: str, given: Given | None = None
) -> bool:
    """Whether there is anything of what the tool can do that policy may permit. What a tool does by its arguments may
    have to be asked of a system, and for a call that is denied in any case no system is asked."""
    specs = [tool.spec]
    if tool.narrower is not None:
        specs = [tool.narrowed(effect, tool.spec.idempotency).spec for effect in Effect]
    asked = (permits.judge(principal, wanted(spec, source=source), given) for spec in specs)
    return any(judgement.verdict is not Verdict.DENIED for judgement in asked)


def secrets_of_settings(call: Call, catalog: Catalog) -> Given | None:
    """What of a call is known before its arguments are looked at, if its document is given secrets that settings of
    the tenant refer to; else None."""
    names = marks.named(call)
    reserved = names & catalog.secrets(call.tenant) if names else names
    return Given(complete=False, secrets=names, reserved=reserved, made=False) if reserved else None


def _given(prepared: Prepared) -> Given:
    call = prepared.call
    try:
        # Not the text that came, of which the tool's model may make something else: what the tool will see.
        arguments = prepared.arguments.model_dump(mode="json", by_alias=True)
    except PydanticSerializationError:
        reason = f"the arguments of {call.tool.spec.name} cannot be told to the policies that they decide on"
        raise NotPermitted(reason) from None
    hidden = marks.hidden(arguments, call.secrets)
    if call.secrets is not None and call.secrets.names:
        # Also where the mark came: a tool's model may have made something of it that no longer shows it.
        hidden |= marks.hidden(from_json(call.arguments_json), call.secrets)
    return Given(
        arguments,
        hidden=hidden,
        secrets=marks.named(call),
        run_id=call.origin.run_id,
        event_source=call.origin.event_source,
        approved_by=call.approval.by if call.approval is not None else (),
    )
