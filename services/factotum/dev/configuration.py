"""The files that the parts of the local stack are configured by, made anew at every start.

`config/sources.yaml` says who may send events (factotum.gateway.sources), `config/connectors.yaml`
where each tenant's systems are (factotum.tool_executor.tenants), `config/groups.yaml` who is in which
group (factotum.runtime.groups), `config/policies` who may call what (docs/policies.md),
`config/tenants.yaml` what the sandbox's servers ask of each tenant (dev/sandbox/README.md). The last
holds the secrets themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from factotum.dev import credentials
from factotum.dev.part import HOST
from factotum.dev.ports import Ports
from factotum.runtime.secrets.files import SecretFiles
from factotum.runtime.secrets.names import SCHEME
from factotum.tool_executor.policy.folders import STARTER
from factotum.tool_executor.policy.policies import SUFFIX

OVERLAY = "connectors.yaml"
# Policies of one's own, which hold beside the stack's.
POLICIES = "policies"
# What calls by protocol may reach: a document that is tried out here acts on nothing outside.
_LOOPBACK = f"http://{HOST}:*"
# Commands reach nothing from their sandbox, so that documents may run what they bring.
_LOCAL = """\
@id("local.programs")
permit (principal, action == Action::"execute", resource in System::"process");
"""


class ConfigurationInvalid(ValueError):
    """What somebody laid over the stack's own configuration cannot be used; the message says where it is wrong."""


class Overlay(BaseModel):
    """`connectors.yaml` in the stack's directory: settings of systems that are not the sandbox's, by tenant."""

    model_config = ConfigDict(extra="forbid")

    tenants: dict[str, dict[str, dict[str, Any]]] = {}


def overlay(directory: Path) -> Overlay:
    """Empty where there is no file. Raises `ConfigurationInvalid`."""
    path = directory / OVERLAY
    try:
        return Overlay.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except FileNotFoundError:
        return Overlay()
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise ConfigurationInvalid(
            f"{path} is not of the form `tenants: {{acme: {{system: {{…}}}}}}`: {error}"
        ) from error


def write(directory: Path, secrets: SecretFiles, tenants: Sequence[str], ports: Ports) -> None:
    """Writes the files into `directory`/config; what stands in `directory`/connectors.yaml is laid over the stack's
    own connectors, by tenant and system. Makes `directory`/policies, which nothing here writes into.

    Raises `UnknownSecret` if a secret is missing, `ConfigurationInvalid`.
    """
    own = overlay(directory).tenants
    if unknown := set(own) - set(tenants):
        raise ConfigurationInvalid(
            f"{directory / OVERLAY} names {', '.join(sorted(unknown))}; the tenants here are {', '.join(tenants)}"
        )
    folder = directory / "config"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = {
        "sources.yaml": sources(tenants),
        "connectors.yaml": {
            "tenants": {tenant: {**connectors(tenant, ports), **own.get(tenant, {})} for tenant in tenants}
        },
        "groups.yaml": {"tenants": {tenant: groups() for tenant in tenants}},
        "tenants.yaml": {"tenants": {tenant: sandbox(tenant, secrets, tenants, ports) for tenant in tenants}},
    }
    for made in (folder / POLICIES, directory / POLICIES):
        made.mkdir(mode=0o700, exist_ok=True)
    for old in (folder / POLICIES).glob(f"*{SUFFIX}"):  # of a release with other files
        old.unlink()
    for name, text in policies().items():
        credentials.write_private(folder / POLICIES / name, text)
    for name, content in files.items():
        credentials.write_private(folder / name, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def sources(tenants: Sequence[str]) -> dict[str, Any]:
    """The first tenant's sources have the plain names."""
    first = tenants[0]
    return {
        "sources": {
            **{
                bamboohr_source(tenant, tenants): {
                    "scheme": "bamboohr",
                    "tenant": tenant,
                    "secret": SCHEME + credentials.BAMBOOHR_WEBHOOK,
                }
                for tenant in tenants
            },
            "billing": {"scheme": "standard", "tenant": first, "secret": SCHEME + credentials.BILLING_WEBHOOK},
        },
        "tokens": [{"tenant": tenant, "token": SCHEME + credentials.EVENTS_TOKEN} for tenant in tenants],
    }


def groups() -> dict[str, list[str]]:
    """People to decide on calls by: `factotum approve RUN STEP --as ada`."""
    return {"it": ["ada", "grace"], "hr": ["mary"]}


def policies() -> dict[str, str]:
    """Files of policies: the packaged ones, and what this stack permits besides."""
    starter = {path.name: path.read_text(encoding="utf-8") for path in sorted(STARTER.glob(f"*{SUFFIX}"))}
    return {**starter, "local.cedar": _LOCAL}


def bamboohr_source(tenant: str, tenants: Sequence[str]) -> str:
    """`bamboohr`, `bamboohr-globex`: the name of a tenant's HR system at the gateway."""
    return "bamboohr" if tenant == tenants[0] else f"bamboohr-{tenant}"


def connectors(tenant: str, ports: Ports) -> dict[str, Any]:
    """Where the systems of a tenant are, with its credentials by reference."""
    mail = ports["sandbox-mail"]
    return {
        "identity": {
            "base_url": f"{_http(ports, 'sandbox-identity')}/{tenant}/v2",
            "token": SCHEME + credentials.IDENTITY_TOKEN,
            # The sandbox finds an account as soon as it has it, and archives a mail before it acknowledges it.
            "index_seconds": 0,
        },
        "hr": {
            "base_url": f"{_http(ports, 'sandbox-hr')}/api/gateway.php/{tenant}/v1",
            "api_key": SCHEME + credentials.HR_API_KEY,
        },
        "mail": {
            "host": HOST,
            "port": mail["smtp"],
            "sender": f"People Team <people@{tenant}.example>",
            "archive_url": f"http://{HOST}:{mail['archive']}/{tenant}",
            "archive_token": SCHEME + credentials.MAIL_ARCHIVE_TOKEN,
            "archive_seconds": 0,
        },
        "calendar": {
            "base_url": f"{_http(ports, 'sandbox-calendar')}/{tenant}/",
            "username": tenant,
            "password": SCHEME + credentials.CALENDAR_PASSWORD,
        },
        "http": {"allow": [_LOOPBACK]},
        "openapi": {"allow": [_LOOPBACK]},
        # Commands reach nothing from their sandbox, so a document may bring its own.
        "process": {"shell": True, "script": True},
    }


def sandbox(tenant: str, secrets: SecretFiles, tenants: Sequence[str], ports: Ports) -> dict[str, Any]:
    """What the sandbox asks of a tenant, and where its HR system tells of changes."""

    def value(name: str) -> str:
        return secrets.read(tenant, name)

    hook = f"{_http(ports, 'gateway')}/hooks/{bamboohr_source(tenant, tenants)}"
    return {
        "identity_token": value(credentials.IDENTITY_TOKEN),
        "hr_api_key": value(credentials.HR_API_KEY),
        "calendar_password": value(credentials.CALENDAR_PASSWORD),
        "mail_archive_token": value(credentials.MAIL_ARCHIVE_TOKEN),
        "webhooks": [{"name": "gateway", "url": hook, "secret": value(credentials.BAMBOOHR_WEBHOOK)}],
    }


def _http(ports: Ports, part: str) -> str:
    return f"http://{HOST}:{ports[part]['http']}"
