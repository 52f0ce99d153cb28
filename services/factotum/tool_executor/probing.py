"""Whether a tool could be called, looked at from every side without changing anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from pydantic import BaseModel, ValidationError

from factotum.events.envelope import describe
from factotum.runtime.secrets.names import SCHEME
from factotum.sdk.errors import NotPermitted, Unavailable
from factotum.sdk.spec import Effect, Example, ToolSpec
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.catalog import Catalog
from factotum.tool_executor.execution import Executor, check_tenant
from factotum.tool_executor.policy.asking import Principal, wanted
from factotum.tool_executor.policy.judging import Given
from factotum.tool_executor.policy.verdicts import Verdict
from factotum.tool_executor.registry import AnyTool
from factotum.tool_executor.sources.adding import Sources
from factotum.tool_executor.sources.source import SourceInvalid, SourceUnavailable
from factotum.tool_executor.sources.store import StoreUnavailable, UnknownSource
from factotum.tool_executor.wrappers.authorised import Permits


class Secrets(Protocol):
    async def __call__(self, tenant: str, reference: str, *, user: str = "") -> str:
        """The value of the tenant's secret or, with a user, of that person's. Raises `NotPermitted`, `Unavailable`."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; `message` says what was found, and how to mend it. Never a secret's value."""

    name: str
    passed: bool
    message: str


class Prober:
    """Tries tools."""

    def __init__(
        self, *, catalog: Catalog, sources: Sources, executor: Executor, permits: Permits, secret: Secrets
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._executor = executor
        self._permits = permits
        self._secret = secret

    async def probe(self, tenant: str, name: str, *, user: str = "") -> list[Check]:
        """Everything that stands in the way of a call for this person, and the examples of a tool that only reads,
        called. Raises `CallRefused`, `UnknownTool`."""
        check_tenant(tenant)
        tool = self._catalog.tool(tenant, name)
        checks = [_schemas(tool.spec), *_examples(tool)]
        settings = self._settings(tenant, tool.spec)
        checks.append(settings if isinstance(settings, Check) else Check("settings", True, "are there"))
        if not isinstance(settings, Check):
            checks.append(await self._secrets(tenant, tool.spec, settings, user))
        checks.append(self._policy(tenant, tool.spec, user))
        if self._catalog.origin(tenant, tool.spec.system) not in ("installed", "folder"):
            checks.append(await self._source(tenant, tool.spec.system))
        if tool.spec.effect is Effect.NONE and all(check.passed for check in checks):
            checks += [await self._called(tenant, tool.spec, example, user) for example in tool.spec.examples]
        return checks

    def _settings(self, tenant: str, spec: ToolSpec) -> BaseModel | Check:
        try:
            return self._catalog.settings(tenant, spec.system)
        except NotPermitted as error:
            return Check("settings", False, error.message)

    async def _secrets(self, tenant: str, spec: ToolSpec, settings: BaseModel, user: str) -> Check:
        wanting: list[str] = []
        references = sorted(set(_references(settings.model_dump(mode="json"))))
        asked: list[tuple[str, str]] = [(reference, "") for reference in references]
        for need in spec.secrets:
            if need.delegated and not user:
                wanting.append(f"{need.name} is the secret of the person a run acts for: say who with --user")
            else:
                asked.append((SCHEME + need.name, user if need.delegated else ""))
        for reference, whose in asked:
            try:
                await self._secret(tenant, reference, user=whose)
            except (NotPermitted, Unavailable) as error:
                wanting.append(error.message)
        names = ", ".join(reference.removeprefix(SCHEME) for reference, _ in asked) or "none is needed"
        return Check("secrets", not wanting, "; ".join(wanting) or names)

    def _policy(self, tenant: str, spec: ToolSpec, user: str) -> Check:
        tool = wanted(spec, source=self._catalog.origin(tenant, spec.system))
        judgement = self._permits.judge(Principal(tenant, user), tool)
        if judgement.verdict is Verdict.DEPENDS and spec.examples:
            given = [Given(example.arguments) for example in spec.examples]
            judged = [self._permits.judge(Principal(tenant, user), tool, one) for one in given]
            judgement = next((one for one in judged if one.verdict is Verdict.ALLOWED), judged[0])
        return Check("policy", judgement.verdict is not Verdict.DENIED, judgement.explanation)

    async def _source(self, tenant: str, system: str) -> Check:
        try:
            await self._sources.answers(tenant, system)
        except (SourceInvalid, SourceUnavailable, StoreUnavailable, UnknownSource) as error:
            return Check("source", False, str(error))
        return Check("source", True, "can be read")

    async def _called(self, tenant: str, spec: ToolSpec, example: Example, user: str) -> Check:
        name = f'example "{example.title}"'
        answer = await self._executor.execute(
            tenant=tenant,
            tool=spec.name,
            arguments_json=json.dumps(example.arguments),
            key="",
            origin=Origin(user=user),
        )
        if answer.error is not None:
            return Check(name, False, f"{answer.error.kind}: {answer.error.message}")
        return Check(name, True, "was called and answered as its schema says")


def _schemas(spec: ToolSpec) -> Check:
    for which, schema in (("input", spec.input_schema), ("output", spec.output_schema)):
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            return Check("schemas", False, f"the {which} schema is none at {error.json_path}: {error.message}")
    return Check("schemas", True, "are JSON Schema 2020-12")


def _examples(tool: AnyTool) -> Iterator[Check]:
    faults: list[str] = []
    for example in tool.spec.examples:
        faults += _faults(f'the arguments of "{example.title}"', tool.arguments, example.arguments)
        if example.output is not None:
            faults += _faults(f'the output of "{example.title}"', tool.output, example.output)
    said = f"{len(tool.spec.examples)} keep the schemas" if tool.spec.examples else "the tool has none"
    yield Check("examples", not faults, "; ".join(faults) or said)


def _faults(what: str, model: type[BaseModel], value: dict[str, Any]) -> Iterator[str]:
    try:
        model.model_validate(value)
    except ValidationError as error:
        yield f"{what}: {describe(error)}"


def _references(value: Any) -> Iterator[str]:
    """Every `secret://name` in a JSON value."""
    if isinstance(value, str) and value.startswith(SCHEME):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
