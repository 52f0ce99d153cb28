"""What a document refers to by name: it must be there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from factotum.procedures import protocols
from factotum.procedures.checks import nearest, secrets
from factotum.procedures.checks.scopes import Scoped, tasks
from factotum.procedures.expressions import escape
from factotum.procedures.fault import Fault
from factotum.procedures.model import Document, Use
from factotum.procedures.shapes import Input, Output
from factotum.procedures.tasks import CallTask, RaiseTask, RunTask, TryTask
from factotum.sdk.spec import ToolSpec

Json = Any
Catalog = Mapping[str, ToolSpec]

_CATALOGED = re.compile(r"(?P<name>[^:@]+):(?P<version>[^:@]+)@(?P<catalog>[^:@]+)")
DEFAULT_CATALOG = "default"
# The one property of a policy that names a secret instead of holding the policy's values.
_SCHEMES = ("basic", "bearer", "certificate", "digest", "oauth2", "oidc")


def faults(document: Document, catalog: Catalog | None) -> Iterator[Fault]:
    """What is named and is not there."""
    use = document.use
    yield from _timeout("/timeout", document.timeout, use)
    for name, policy in use.authentications.items():
        pointer = f"/use/authentications/{escape(name)}"
        if policy.use is not None:
            yield Fault(
                f"{pointer}/use", "a policy under `use.authentications` cannot name another one", "Write it out"
            )
        yield from _secret_of(pointer, policy.model_dump(exclude_none=True), use)
    for name, found in use.catalogs.items():
        if not isinstance(found.endpoint, str) and found.endpoint.authentication is not None:
            where = f"/use/catalogs/{escape(name)}/endpoint"
            yield from _authentications(where, found.endpoint.model_dump(exclude_none=True), use)
    for pointer, holder in (("/input", document.input), ("/output", document.output)):
        yield from _resource(pointer, holder, use)
    for scoped in tasks(document):
        yield from _of_task(scoped, use, catalog)


def function_of(call: str, use: Use) -> bool:
    """Whether a call is of a function that the document defines: it comes before a tool of that name."""
    return call in use.functions


def cataloged(call: str) -> bool:
    """Whether a call is of a function that lies elsewhere and is resolved when the run is planned."""
    return "://" in call or _CATALOGED.fullmatch(call) is not None


def tool_of_call(call: str) -> str | None:
    """The tool that a call means where the document defines no function of that name; None for a function."""
    found = _CATALOGED.fullmatch(call)
    if found is None:
        return None if cataloged(call) else protocols.tool_named(call)
    return protocols.tool_named(found["name"]) if found["catalog"] == DEFAULT_CATALOG else None


def _of_task(scoped: Scoped, use: Use, catalog: Catalog | None) -> Iterator[Fault]:
    pointer, task = scoped.pointer, scoped.task
    yield from _timeout(f"{pointer}/timeout", task.timeout, use)
    if isinstance(task, CallTask):
        yield from call_faults(f"{pointer}/call", task.call, protocols.tool_of(task), use, catalog)
        yield from _authentications(f"{pointer}/with", task.with_, use)
    elif isinstance(task, RunTask) and (tool := protocols.tool_of(task)) is not None:
        kind = tool.partition(".")[2]
        if catalog is not None and tool not in catalog:
            yield _no_connector(f"{pointer}/run/{kind}", tool, f"`run: {kind}`")
        yield from _authentications(f"{pointer}/run/{kind}", getattr(task.run, kind), use)
    for name, holder in (("input", task.input), ("output", task.output), ("export", task.export)):
        yield from _resource(f"{pointer}/{name}", holder, use)
    if isinstance(task, RaiseTask) and isinstance(error := task.raise_.error, str):
        yield from _named(f"{pointer}/raise/error", "error", error, use.errors)
    if isinstance(task, TryTask) and isinstance(retry := task.catch.retry, str):
        yield from _named(f"{pointer}/catch/retry", "retry policy", retry, use.retries, "retries")
    if (undo := task.compensate) is not None:
        tool = protocols.tool_named(undo.call)
        yield from call_faults(f"{pointer}/metadata/compensate/call", undo.call, tool, use, catalog)
        yield from _authentications(f"{pointer}/metadata/compensate/with", undo.with_, use)


def call_faults(pointer: str, call: str, tool: str | None, use: Use, catalog: Catalog | None) -> Iterator[Fault]:
    """Why a call reaches nothing. `tool`: the one that carries it out if it is no function's."""
    if function_of(call, use):
        return
    if (found := _CATALOGED.fullmatch(call)) is not None:
        if found["catalog"] != DEFAULT_CATALOG:
            yield from _named(pointer, "catalog", found["catalog"], use.catalogs)
        return
    if cataloged(call):
        return
    if tool is None:
        known = (*use.functions, *protocols.PROTOCOLS, protocols.ASYNCAPI, *(catalog or ()))
        advice = "Define it under `use.functions`"
        if close := nearest.among(call, known, advice):
            advice = close if close.startswith("Did") else advice
        yield Fault(pointer, f"there is no function `{call}`", advice)
    elif catalog is not None and tool not in catalog:
        yield _no_tool(pointer, tool, catalog) if tool == call else _no_connector(pointer, tool, f"`call: {call}`")


def _no_tool(pointer: str, tool: str, catalog: Catalog) -> Fault:
    siblings = [name for name in catalog if name.partition(".")[0] == tool.partition(".")[0]]
    advice = nearest.among(tool, siblings or catalog, "`factotum tools list` shows what there is")
    return Fault(pointer, f"there is no tool `{tool}`", advice)


def _no_connector(pointer: str, tool: str, what: str) -> Fault:
    system = tool.partition(".")[0]
    return Fault(
        pointer,
        f"{what} needs the tool `{tool}`, which is not in the catalog",
        f"The tool executor must have the connector `{system}`",
    )


def _named(pointer: str, what: str, name: str, known: Iterable[str], group: str = "") -> Iterator[Fault]:
    if name not in known:
        where = f"use.{group or f'{what}s'}"
        advice = nearest.among(name, known, f"Define it under `{where}`")
        yield Fault(pointer, f"there is no {what} `{name}` under `{where}`", advice)


def _resource(pointer: str, holder: Input | Output, use: Use) -> Iterator[Fault]:
    """The faults of a schema that lies elsewhere."""
    if holder.schema_ is not None and holder.schema_.resource is not None:
        resource = holder.schema_.resource.model_dump(exclude_none=True)
        yield from _authentications(f"{pointer}/schema/resource", resource, use)


def _timeout(pointer: str, timeout: object, use: Use) -> Iterator[Fault]:
    if isinstance(timeout, str):
        yield from _named(pointer, "timeout", timeout, use.timeouts)


def _authentications(pointer: str, value: Json, use: Use) -> Iterator[Fault]:
    """The faults of every `authentication` inside what a call is given."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            below = f"{pointer}/{escape(str(name))}"
            if name == "authentication":
                yield from _authentication(below, inner, use)
            else:
                yield from _authentications(below, inner, use)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _authentications(f"{pointer}/{index}", inner, use)


def _authentication(pointer: str, policy: Json, use: Use) -> Iterator[Fault]:
    if isinstance(policy, str) and "${" not in policy:
        yield from _named(pointer, "authentication", policy, use.authentications)
    elif isinstance(policy, Mapping):
        if isinstance(name := policy.get("use"), str):
            yield from _named(f"{pointer}/use", "authentication", name, use.authentications)
        yield from _secret_of(pointer, policy, use)


def _secret_of(pointer: str, policy: Mapping[str, Json], use: Use) -> Iterator[Fault]:
    for scheme in _SCHEMES:
        values = policy.get(scheme)
        if isinstance(values, Mapping) and isinstance(name := values.get("use"), str) and name not in use.secrets:
            message, advice = secrets.undeclared(name, use.secrets)
            yield Fault(f"{pointer}/{scheme}/use", message, advice)


def policies_in(value: Json, use: Use) -> Json:
    """What a call is given, with each `authentication: {use: name}` replaced by the policy that it names."""
    if isinstance(value, Mapping):
        return {
            name: _policy(inner, use) if name == "authentication" else policies_in(inner, use)
            for name, inner in value.items()
        }
    return [policies_in(inner, use) for inner in value] if isinstance(value, list) else value


def _policy(given: Json, use: Use) -> Json:
    name = given.get("use") if isinstance(given, Mapping) else given
    if isinstance(name, str) and name in use.authentications:
        return use.authentications[name].model_dump(exclude_none=True)
    return given
