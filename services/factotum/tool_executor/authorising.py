"""What policy says of a call that nobody makes: one that is planned, or that somebody only asks about."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, from_json

from factotum.sdk.spec import Effect
from factotum.tool_executor.calls import Call, Origin
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.contexts import Contexts
from factotum.tool_executor.errors import CallRefused, UnknownTool
from factotum.tool_executor.narrowing import narrowed
from factotum.tool_executor.policy.asking import Principal, wanted
from factotum.tool_executor.policy.judging import Given
from factotum.tool_executor.policy.verdicts import Judgement, Verdict
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.wrappers.authorised import Permits, conceivable
from factotum.tool_executor.wrappers.validated import faults

Json = Any


@dataclass(frozen=True, slots=True)
class PlannedSecrets:
    """The secrets of its document that a call is given.

    Attributes:
        names: those that its arguments name for certain.
        others: they may name more of them.
        hidden: JSON pointers into the arguments, of texts in which one stands for certain.
    """

    names: frozenset[str] = frozenset()
    others: bool = False
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """A call that is not made.

    Attributes:
        arguments_json: as far as they are known; empty: they are not known at all.
        unknown: JSON pointers into them, of what is only known when the call is made.
        secrets: None: nothing is known of them.
    """

    tool: str
    arguments_json: str = ""
    unknown: tuple[str, ...] = ()
    secrets: PlannedSecrets | None = None


class Authorising:
    """Asks policy of calls that are not made."""

    def __init__(self, *, catalog: Catalog, contexts: Contexts, permits: Permits, now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._contexts = contexts
        self._permits = permits
        self._now = now

    async def judge(self, principal: Principal, planned: Planned) -> Judgement:
        """Raises `UnknownTool`; `CallRefused` for arguments that the tool does not take."""
        tool = self._catalog.tool(principal.tenant, planned.tool)
        given = self._given(principal, tool, planned)
        if not planned.arguments_json or planned.unknown:
            return self._of_tool(principal, tool, given)
        source = self._catalog.origin(principal.tenant, tool.spec.system)
        before = self._without_arguments(principal, planned.secrets)
        if not conceivable(tool, principal, permits=self._permits, source=source, given=before):
            return self._of_tool(principal, tool, given, narrowed=True)
        origin = Origin(procedure=principal.procedure, user=principal.user)
        call = Call(principal.tenant, tool, planned.arguments_json, "", origin, self._now())
        return self._of_tool(principal, (await narrowed(call, self._contexts)).tool, given, narrowed=True)

    def judge_plan(self, principal: Principal, planned: Planned) -> Judgement:
        """As `judge`, asking no system: what a tool does by its arguments is not known. What cannot be asked for is
        left to the call itself."""
        try:
            tool = self._catalog.tool(principal.tenant, planned.tool)
            given = self._given(principal, tool, planned)
        except (UnknownTool, CallRefused) as error:
            return Judgement(Verdict.DEPENDS, (), str(error))
        return self._of_tool(principal, tool, given)

    def _given(self, principal: Principal, tool: AnyTool, planned: Planned) -> Given | None:
        """What is known of the call; None: nothing. Raises `CallRefused`."""
        told = self._without_arguments(principal, planned.secrets)
        if not planned.arguments_json:
            return told
        told = told or Given(others=True, made=False)
        if planned.unknown:
            return replace(told, arguments=_in_part(tool, planned), complete=False)
        return replace(told, arguments=_taken(tool, planned.arguments_json), complete=True)

    def _without_arguments(self, principal: Principal, secrets: PlannedSecrets | None) -> Given | None:
        if secrets is None:
            return None
        return Given(
            complete=False,
            hidden=frozenset(pointer.removeprefix("/") for pointer in secrets.hidden),
            secrets=secrets.names,
            others=secrets.others,
            reserved=secrets.names & self._catalog.secrets(principal.tenant),
            made=False,
        )

    def _of_tool(
        self, principal: Principal, tool: AnyTool, given: Given | None, *, narrowed: bool = False
    ) -> Judgement:
        source = self._catalog.origin(principal.tenant, tool.spec.system)
        declared = self._permits.judge(principal, wanted(tool.spec, source=source), given)
        if tool.narrower is None or narrowed:
            return declared
        # By its arguments it may do less than it declares, which may be permitted where that is not.
        for effect in Effect:
            spec = tool.narrowed(effect, tool.spec.idempotency).spec
            other = self._permits.judge(principal, wanted(spec, source=source), given)
            if other.verdict is not declared.verdict:
                policies = tuple(sorted({*declared.policies, *other.policies}))
                why = f"whether {principal} may call {spec.name} depends on what it is to do by its arguments"
                return replace(declared, verdict=Verdict.DEPENDS, policies=policies, explanation=why)
        return declared


def _taken(tool: AnyTool, arguments_json: str) -> Json:
    """The arguments as the tool is given them. Raises `CallRefused`."""
    try:
        made: BaseModel = tool.arguments.model_validate_json(arguments_json)
        return made.model_dump(mode="json", by_alias=True)
    except ValidationError as error:
        raise CallRefused(f"{tool.spec.name} does not take these arguments: {faults(error)}") from None
    except PydanticSerializationError:
        raise CallRefused(f"the arguments of {tool.spec.name} cannot be told to the policies") from None


def _in_part(tool: AnyTool, planned: Planned) -> dict[str, Json]:
    """What stands in the arguments for good: each field by itself, as the tool is given it."""
    unknown = frozenset(pointer.removeprefix("/") for pointer in planned.unknown)
    try:
        arguments = from_json(planned.arguments_json)
    except ValueError as error:
        raise CallRefused("arguments_json is not JSON") from error
    known: dict[str, Json] = {}
    for name, field in tool.arguments.model_fields.items():
        key = field.alias or name
        pointer = key.replace("~", "~0").replace("/", "~1")
        if not isinstance(arguments, Mapping) or key not in arguments:
            continue
        if any(f"{one}/".startswith(f"{pointer}/") for one in unknown):
            continue
        try:
            kind: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            adapter: TypeAdapter[Any] = TypeAdapter(kind)
            value = adapter.validate_json(json.dumps(arguments[key]))
            known[key] = adapter.dump_python(value, mode="json", by_alias=True)
        except (ValidationError, PydanticSerializationError):
            continue
    return known
