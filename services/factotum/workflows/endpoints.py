"""What a protocol call is sent to: URI templates and named authentications. Source: DSL 1.0.3, "URI Template"."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from factotum.procedures.protocols import DATA
from factotum.procedures.shapes import Authentication
from factotum.workflows import problem
from factotum.workflows.problem import Problem

Json = Any

# Where the language has a URI: these keys, wherever they stand in the arguments of a protocol.
_URIS = frozenset({"endpoint", "uri", "server"})
_VARIABLE = re.compile(r"\{([^{}]*)\}")


def prepared(
    with_: Mapping[str, Json], value: Json, authentications: Mapping[str, Authentication], pointer: str
) -> dict[str, Json]:
    """The arguments with every URI template expanded and every `{use: name}` replaced. Raises `Problem`."""
    found: dict[str, Json] = {}
    for key, inner in with_.items():
        if key in DATA:
            found[key] = inner
        elif key in _URIS and isinstance(inner, str):
            found[key] = expanded(inner, value, pointer)
        elif key == "authentication":
            found[key] = _policy(inner, authentications, pointer)
        elif isinstance(inner, Mapping):
            found[key] = prepared(inner, value, authentications, pointer)
        else:
            found[key] = inner
    return found


def expanded(template: str, value: Json, pointer: str) -> str:
    """A URI with `{name}` replaced by the percent-encoded top-level property of the value, or by nothing.

    A text with `${ }` is an expression, and no template. Raises `Problem` for a property that is no scalar.
    """
    if "${" in template:
        return template

    def variable(found: re.Match[str]) -> str:
        given = value.get(found[1]) if isinstance(value, Mapping) else None
        if isinstance(given, dict | list):
            detail = f"{{{found[1]}}} must be a string, a number, a boolean or null"
            raise Problem(problem.EXPRESSION, 400, "expression", detail, pointer)
        if given is None:
            return ""
        text = ("true" if given else "false") if isinstance(given, bool) else str(given)
        return quote(text, safe="")

    return _VARIABLE.sub(variable, template)


def _policy(given: Json, authentications: Mapping[str, Authentication], pointer: str) -> Json:
    name = given.get("use") if isinstance(given, Mapping) else None
    if name is None:
        return given
    if name not in authentications:
        detail = f"there is no authentication {name!r}"
        raise Problem(problem.CONFIGURATION, 400, "configuration", detail, pointer)
    return authentications[name].model_dump(exclude_none=True)


def authorization(with_: Mapping[str, Json]) -> dict[str, Json] | None:
    """`$authorization`, as a template: scheme and, for bearer and basic, parameter; None without authentication."""
    policy = _first_policy(with_)
    if policy is None:
        return None
    scheme, settings = next(iter(policy.items()))
    parameter: Json = ""
    if scheme == "bearer":
        parameter = settings.get("token", "")
    elif scheme == "basic" and "use" not in settings:
        name, password = str(settings.get("username", "")), str(settings.get("password", ""))
        if "${" not in name + password:
            parameter = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"scheme": {"oauth2": "Bearer", "oidc": "Bearer"}.get(scheme, scheme.capitalize()), "parameter": parameter}


def _first_policy(value: Json) -> dict[str, Json] | None:
    if not isinstance(value, Mapping):
        return None
    if isinstance(policy := value.get("authentication"), dict) and policy:
        return policy
    return next((found for key, inner in value.items() if key not in DATA and (found := _first_policy(inner))), None)
