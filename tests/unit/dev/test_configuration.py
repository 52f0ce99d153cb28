"""The files that a stack makes for its parts."""

from __future__ import annotations

import stat
from pathlib import Path
from random import Random

import pytest
import yaml
from pydantic import BaseModel

from factotum.connectors.calendar import CalendarSettings
from factotum.connectors.hr import HrSettings
from factotum.connectors.identity import IdentitySettings
from factotum.connectors.mail import MailSettings
from factotum.connectors.process.settings import ProcessSettings
from factotum.connectors.protocols.egress import EgressSettings
from factotum.dev import configuration, credentials, parts
from factotum.dev.sandbox import tenants as sandbox_tenants
from factotum.gateway import sources
from factotum.runtime.secrets.files import SecretFiles
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.folders import Permission
from factotum.tool_executor.policy.verdicts import Verdict

TENANTS = ("acme", "globex")
CONNECTORS: dict[str, type[BaseModel]] = {
    "calendar": CalendarSettings,
    "hr": HrSettings,
    "http": EgressSettings,
    "identity": IdentitySettings,
    "mail": MailSettings,
    "openapi": EgressSettings,
    "process": ProcessSettings,
}
PORTS = {part.name: dict(part.ports) for part in parts.stack("embedded")}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    credentials.provide(tmp_path / "secrets", TENANTS, Random(7).randbytes)
    configuration.write(tmp_path, SecretFiles(tmp_path / "secrets"), TENANTS, PORTS)
    return tmp_path


def values(directory: Path) -> dict[str, str]:
    found = (path for path in (directory / "secrets").rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in found}


def test_every_tenant_has_every_secret_and_no_two_are_the_same(directory: Path) -> None:
    found = values(directory)
    assert len(found) == len(TENANTS) * len(credentials.NAMES)
    assert len(set(found.values())) == len(found)
    assert min(map(len, found.values())) >= 32


def test_secrets_are_made_once(directory: Path) -> None:
    before = values(directory)
    credentials.provide(directory / "secrets", (*TENANTS, "third"), Random(8).randbytes)
    after = values(directory)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + len(credentials.NAMES)


def test_only_the_owner_reads_secrets_and_the_files_made_of_them(directory: Path) -> None:
    for path in (*(directory / "secrets").rglob("*"), *(directory / "config").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    for folder in ("secrets", "config"):
        assert stat.S_IMODE((directory / folder).stat().st_mode) == 0o700


async def test_the_gateway_takes_its_sources(directory: Path) -> None:
    secrets = SecretFiles(directory / "secrets")
    known = await sources.load(directory / "config" / "sources.yaml", secrets, tolerance_seconds=300)
    assert {name: known.source(name).tenant for name in ("bamboohr", "bamboohr-globex", "billing")} == {
        "bamboohr": "acme",
        "bamboohr-globex": "globex",
        "billing": "acme",
    }
    for tenant in TENANTS:
        token = await secrets.resolve(tenant, "events-token")
        assert known.sender_of(token.encode()).tenant == tenant


def test_the_connectors_take_their_settings(directory: Path) -> None:
    written = yaml.safe_load((directory / "config" / "connectors.yaml").read_text())["tenants"]
    for tenant in TENANTS:
        assert written[tenant].keys() == CONNECTORS.keys()
        for system, model in CONNECTORS.items():
            model.model_validate(written[tenant][system])
        assert f"/{tenant}/" in written[tenant]["identity"]["base_url"]
    assert not set(values(directory).values()) & set(str(written).split("'"))


def test_the_sandbox_takes_its_tenants_and_tells_the_right_source(directory: Path) -> None:
    path = directory / "config" / "tenants.yaml"
    sandbox_tenants.load(path)
    written = yaml.safe_load(path.read_text())["tenants"]
    hooks = [written[tenant]["webhooks"][0]["url"] for tenant in TENANTS]
    assert hooks == ["http://127.0.0.1:8080/hooks/bamboohr", "http://127.0.0.1:8080/hooks/bamboohr-globex"]
    for tenant in TENANTS:
        secret = (directory / "secrets" / tenant / "bamboohr-webhook").read_text()
        assert written[tenant]["webhooks"][0]["secret"] == secret


def test_what_somebody_lays_over_the_connectors(directory: Path) -> None:
    (directory / "connectors.yaml").write_text("tenants: {acme: {badges: {base_url: http://127.0.0.1:9}, hr: {x: 1}}}")
    configuration.write(directory, SecretFiles(directory / "secrets"), TENANTS, PORTS)
    written = yaml.safe_load((directory / "config" / "connectors.yaml").read_text())["tenants"]
    assert (written["acme"]["badges"], written["acme"]["hr"]) == ({"base_url": "http://127.0.0.1:9"}, {"x": 1})
    assert "identity" in written["acme"]
    assert "badges" not in written["globex"]


@pytest.mark.parametrize("text", ["tenants: [acme]", "acme: {}", "{", "tenants: {acme: {badges: 1}}"])
def test_an_overlay_that_is_none(directory: Path, text: str) -> None:
    (directory / "connectors.yaml").write_text(text)
    with pytest.raises(configuration.ConfigurationInvalid, match=r"connectors\.yaml is not of the form"):
        configuration.write(directory, SecretFiles(directory / "secrets"), TENANTS, PORTS)


def test_an_overlay_for_a_tenant_that_is_not_there(directory: Path) -> None:
    (directory / "connectors.yaml").write_text("tenants: {initech: {badges: {}}}")
    with pytest.raises(configuration.ConfigurationInvalid, match="names initech; the tenants here are acme, globex"):
        configuration.write(directory, SecretFiles(directory / "secrets"), TENANTS, PORTS)


def test_the_stack_permits_what_the_starter_does_and_programs_and_what_its_user_adds(directory: Path) -> None:
    (directory / "config" / "policies" / "old.cedar").write_text("left over")
    configuration.write(directory, SecretFiles(directory / "secrets"), TENANTS, PORTS)
    folders = [directory / "config" / "policies", directory / "policies"]
    permission = Permission(folders, directory / "config" / "groups.yaml")
    permission.renew()
    shell, cancel = (
        Wanted(name, "1.0.0", action, (), "installed")
        for name, action in (("process.shell", "execute"), ("calendar.cancel", "delete"))
    )
    assert permission.judge(Principal("acme"), shell).verdict is Verdict.ALLOWED
    assert permission.judge(Principal("acme", "ada"), cancel).verdict is Verdict.DENIED
    own = '@id("own") permit(principal in Group::"acme/it", action, resource in System::"calendar");'
    (directory / "policies" / "own.cedar").write_text(own)
    permission.renew()
    assert permission.judge(Principal("acme", "ada"), cancel).verdict is Verdict.ALLOWED
    assert permission.judge(Principal("acme", "mary"), cancel).verdict is Verdict.DENIED
