"""Which secrets a call may use, and their values: resolved before the tool runs, and no others.

A tool may use what its settings refer to by `secret://name`, what its spec names, and what the calling document
declares and its arguments name: of these none that settings of the tenant refer to, unless a policy names it
(`wrappers.authorised`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.names import SCHEME, name_of
from factotum.runtime.secrets.store import SecretStore
from factotum.sdk.errors import InvalidArgument, NotPermitted, ToolError, Unavailable
from factotum.sdk.spec import SecretNeed
from factotum.tool_executor import marks
from factotum.tool_executor.calls import Prepared
from factotum.tool_executor.references import references
from factotum.tool_executor.wrappers.validated import faults

# Settings live as long as a tenant's connector; more of them than this are looked through anew.
_MOST_SETTINGS = 1000


@dataclass(frozen=True, slots=True)
class Needs:
    """What a call may use.

    Attributes:
        settings: references in its settings. One that is not there is told to the tool that asks for it.
        spec: named by the tool. One that is not there refuses the call.
        document: bare names that the document declares and the arguments name (`marks.named`).
    """

    settings: tuple[str, ...]
    spec: tuple[SecretNeed, ...]
    document: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.settings or self.spec or self.document)


NOTHING = Needs((), (), ())


class Secrets:
    """The secrets of calls."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store
        self._referred: dict[int, tuple[BaseModel, tuple[str, ...]]] = {}

    async def secret(self, tenant: str, reference: str, *, user: str = "") -> str:
        """The value behind `secret://name`. Raises `NotPermitted`; `Unavailable`, without effect."""
        try:
            return await self._store.resolve(tenant, name_of(reference), user=user)
        except UnknownSecret as error:
            raise NotPermitted(str(error)) from None
        except SecretsUnavailable as error:
            raise Unavailable(f"{reference} is not to be had now: {error}", effect_possible=False) from None

    def needs(self, prepared: Prepared) -> Needs:
        call, spec = prepared.call, prepared.call.tool.spec.secrets
        if not spec and call.secrets is None and not self._references(prepared.context.settings):
            return NOTHING
        named = {SCHEME + need.name for need in spec}
        referred = tuple(one for one in self._references(prepared.context.settings) if one not in named)
        return Needs(referred, spec, tuple(sorted(marks.named(call))))

    async def revealed(self, prepared: Prepared, needs: Needs) -> Prepared:
        """The call as the tool is given it. Its mask is told every value, and masks what is told of progress.

        Raises `NotPermitted`, `InvalidArgument`; `Unavailable`, without effect.
        """
        call, context = prepared.call, prepared.context
        own = dict.fromkeys(needs.settings, "") | {SCHEME + it.name: _person(prepared, it) for it in needs.spec}
        document = [SCHEME + name for name in needs.document]
        found = await self._all(call.tenant, [*own.items(), *((reference, "") for reference in document)])
        for value in found:
            if isinstance(value, Unavailable):
                raise value
        prepared.mask.add(*(value for value in found if isinstance(value, str)))
        of_call = dict(zip(own, found, strict=False))
        of_document = dict(zip(document, found[len(own) :], strict=True))
        for need in needs.spec:
            if isinstance(missing := of_call[SCHEME + need.name], ToolError):
                raise missing

        def declared(name: str) -> str:
            if call.secrets is None or name not in call.secrets.names:
                return context.declared_secret(name)
            return _given(of_document, SCHEME + name, "the arguments do not name it")

        arguments = prepared.arguments
        if call.secrets is not None and call.secrets.nonce and call.secrets.nonce in call.arguments_json:
            value = marks.revealed(from_json(call.arguments_json), call.secrets, declared)
            try:
                arguments = call.tool.arguments.model_validate_json(json.dumps(value))
            except ValidationError as error:
                raise InvalidArgument(f"{call.tool.spec.name}: {faults(error)}") from None
        why_not = f"neither the settings of {call.tool.spec.system} nor the tool name it"

        def report(text: str, fraction: float | None = None) -> None:
            context.report(prepared.mask.text(text), fraction)

        given = replace(
            context,
            secret=lambda reference: _given(of_call, reference, why_not),
            declared_secret=declared,
            report=report,
        )
        return replace(prepared, arguments=arguments, context=given)

    async def _all(self, tenant: str, wanted: Sequence[tuple[str, str]]) -> list[str | ToolError]:
        """Of each reference the secret of the person beside it, or of the tenant; or why it is not to be had."""

        async def one(reference: str, user: str) -> str | ToolError:
            try:
                return await self.secret(tenant, reference, user=user)
            except (NotPermitted, Unavailable) as error:
                return error

        if len(wanted) == 1:  # as most calls have it: no task is made for it
            return [await one(*wanted[0])]
        return list(await asyncio.gather(*(one(reference, user) for reference, user in wanted)))

    def _references(self, settings: BaseModel) -> tuple[str, ...]:
        kept = self._referred.get(id(settings))
        if kept is None or kept[0] is not settings:
            if len(self._referred) >= _MOST_SETTINGS:
                self._referred.clear()
            # With the settings themselves, so that no others come to have their identity.
            kept = self._referred[id(settings)] = settings, tuple(sorted(set(references(settings))))
        return kept[1]


def _person(prepared: Prepared, need: SecretNeed) -> str:
    if need.delegated and not prepared.context.user:
        raise NotPermitted(
            f"{prepared.call.tool.spec.name} acts with {need.name!r} of the person that the run acts for, and this "
            "call is made for nobody: start the run as that person"
        )
    return prepared.context.user if need.delegated else ""


def _given(found: Mapping[str, str | ToolError], reference: str, why_not: str) -> str:
    value = found.get(reference)
    if value is None:
        raise NotPermitted(f"{reference} is not for this call: {why_not}")
    if isinstance(value, ToolError):
        raise value
    return value
