"""Which secrets a call may use, and their values: resolved before the tool runs, and no others.

A tool may use what its settings refer to by `secret://name`, what its spec names, and what the calling document
declares and its arguments name.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from factotum.runtime.secrets.errors import SecretsUnavailable, UnknownSecret
from factotum.runtime.secrets.mask import Known, Mask
from factotum.runtime.secrets.names import SCHEME, is_reference, name_of
from factotum.runtime.secrets.store import SecretStore
from factotum.sdk.errors import InvalidArgument, NotPermitted, ToolError, Unavailable
from factotum.sdk.spec import SecretNeed
from factotum.tool_executor import marks
from factotum.tool_executor.calls import Prepared
from factotum.tool_executor.wrappers.validated import faults

# Settings live as long as a tenant's connector; more of them than this are looked through anew.
_MOST_SETTINGS = 1000


@dataclass(frozen=True, slots=True)
class Needs:
    """What a call may use.

    Attributes:
        settings: references in its settings. One that is not there is told to the tool that asks for it.
        spec: named by the tool. One that is not there refuses the call.
        document: bare names that the document declares and the arguments hold.
    """

    settings: tuple[str, ...]
    spec: tuple[SecretNeed, ...]
    document: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.settings or self.spec or self.document)


class Secrets:
    """The secrets of calls.

    Args:
        known: is told what a tool makes of its secrets, as the store tells it every value.
    """

    def __init__(self, store: SecretStore, *, known: Known) -> None:
        self._store = store
        self.known = known
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
        named = {SCHEME + need.name for need in spec}
        referred = tuple(one for one in self._references(prepared.context.settings) if one not in named)
        declared = () if call.secrets is None else sorted(call.secrets.names)
        return Needs(referred, spec, tuple(name for name in declared if name in call.arguments_json))

    async def revealed(self, prepared: Prepared, needs: Needs, mask: Mask) -> Prepared:
        """The call as the tool is given it. The mask is told every value.

        Raises `NotPermitted`, `InvalidArgument`; `Unavailable`, without effect.
        """
        call, context = prepared.call, prepared.context
        tenant = call.tenant
        named = {SCHEME + need.name: _person(prepared, need) for need in needs.spec}
        of_settings, of_spec, of_document = await asyncio.gather(
            self._all(tenant, dict.fromkeys(needs.settings, "")),
            self._all(tenant, named),
            self._all(tenant, {SCHEME + name: "" for name in needs.document}),
        )
        for found in (*of_spec.values(), *of_settings.values(), *of_document.values()):
            if isinstance(found, str):
                mask.add(found)
            elif isinstance(found, Unavailable):
                raise found
        for found in of_spec.values():
            if isinstance(found, ToolError):
                raise found

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
        own: Mapping[str, str | ToolError] = {**of_settings, **of_spec}
        why_not = f"neither the settings of {call.tool.spec.system} nor the tool name it"
        return Prepared(
            call,
            arguments,
            replace(
                context,
                secret=lambda reference: _given(own, reference, why_not),
                declared_secret=declared,
            ),
        )

    async def _all(self, tenant: str, wanted: Mapping[str, str]) -> dict[str, str | ToolError]:
        """By reference, each secret of the tenant or of the person beside it, or why it is not to be had."""

        async def one(reference: str, user: str) -> str | ToolError:
            try:
                return await self.secret(tenant, reference, user=user)
            except (NotPermitted, Unavailable) as error:
                return error

        found = await asyncio.gather(*(one(reference, user) for reference, user in wanted.items()))
        return dict(zip(wanted, found, strict=True))

    def _references(self, settings: BaseModel) -> tuple[str, ...]:
        kept = self._referred.get(id(settings))
        if kept is None or kept[0] is not settings:
            if len(self._referred) >= _MOST_SETTINGS:
                self._referred.clear()
            # With the settings themselves, so that no others come to have their identity.
            kept = self._referred[id(settings)] = settings, tuple(sorted(set(_referred(settings))))
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


def _referred(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if is_reference(value):
            yield value
    elif isinstance(value, BaseModel):
        for _, inner in value:
            yield from _referred(inner)
    elif isinstance(value, dict):
        for inner in (*value.keys(), *value.values()):
            yield from _referred(inner)
    elif isinstance(value, list | tuple | set | frozenset):
        for inner in value:
            yield from _referred(inner)
