"""Files of policies: read at the start, again when they change, and never by half."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from factotum.runtime.groups import GroupsInvalid
from factotum.tool_executor.policy import folders
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.folders import STARTER, Permission
from factotum.tool_executor.policy.policies import PoliciesInvalid
from factotum.tool_executor.policy.verdicts import Verdict

MAIL = Wanted("mail.send", "1.0.0", "send", ("mail.send",), "installed")
ALL = '@id("all") permit(principal, action, resource);'
IT = '@id("it") permit(principal in Group::"acme/it", action, resource);'


def verdict(permission: Permission, user: str = "", tool: Wanted = MAIL, procedure: str = "") -> Verdict:
    return permission.judge(Principal("acme", user, procedure), tool).verdict


def write(path: Path, text: str) -> None:
    path.write_text(text)
    # A second write within one tick of the file system's clock is another one all the same.
    os.utime(path, ns=(write.at, write.at))  # type: ignore[attr-defined]
    write.at += 1  # type: ignore[attr-defined]


write.at = 1  # type: ignore[attr-defined]


def test_an_empty_folder_permits_nothing(tmp_path: Path) -> None:
    permission = Permission([tmp_path], None)
    permission.renew()
    assert verdict(permission) is Verdict.DENIED


def test_nothing_is_judged_before_the_files_were_read(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        Permission([tmp_path], None).judge(Principal("acme"), MAIL)


def test_what_changes_holds_from_then_on_and_what_is_faulty_does_not(tmp_path: Path) -> None:
    groups = tmp_path / "groups.yaml"
    write(groups, "tenants: {acme: {it: [ada]}}")
    write(tmp_path / "a.cedar", IT)
    permission = Permission([tmp_path], groups)
    permission.renew()
    assert (verdict(permission, "ada"), verdict(permission, "bob")) == (Verdict.ALLOWED, Verdict.DENIED)
    write(groups, "tenants: {acme: {it: [bob]}}")
    permission.renew()
    assert (verdict(permission, "ada"), verdict(permission, "bob")) == (Verdict.DENIED, Verdict.ALLOWED)
    write(tmp_path / "b.cedar", "permit(")
    with pytest.raises(PoliciesInvalid, match=r"b\.cedar:1: unexpected end of input"):
        permission.renew()
    permission.renew()  # told once
    assert verdict(permission, "bob") is Verdict.ALLOWED
    (tmp_path / "b.cedar").unlink()
    write(groups, "tenants: [")
    with pytest.raises(GroupsInvalid):
        permission.renew()
    assert verdict(permission, "bob") is Verdict.ALLOWED
    write(groups, "tenants: {}")
    permission.renew()
    assert verdict(permission, "bob") is Verdict.DENIED


def test_files_of_one_name_in_two_folders_are_two(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, text in ((one, ALL), (two, '@id("none") forbid(principal, action, resource);')):
        folder.mkdir()
        (folder / "same.cedar").write_text(text)
    permission = Permission([one, two], None)
    permission.renew()
    judgement = permission.judge(Principal("acme"), MAIL)
    assert judgement.verdict is Verdict.DENIED and f"{two}/same.cedar:1" in judgement.explanation


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(PoliciesInvalid, match=r"there is no such folder\. Set FACTOTUM_POLICIES"):
        Permission([tmp_path / "none"], None).renew()
    (tmp_path / "x.cedar").write_bytes(b"\xff")
    with pytest.raises(PoliciesInvalid, match=r"x\.cedar: it cannot be read"):
        Permission([tmp_path], None).renew()


async def test_it_keeps_up_and_outlives_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "POLL_SECONDS", 0.01)
    permission, stop = Permission([tmp_path], None), asyncio.Event()
    permission.renew()
    following = asyncio.ensure_future(permission.keep_up(stop))
    write(tmp_path / "a.cedar", "permit(")
    await asyncio.sleep(0.05)
    write(tmp_path / "a.cedar", ALL)
    async with asyncio.timeout(5):
        while verdict(permission) is not Verdict.ALLOWED:
            await asyncio.sleep(0.01)
        stop.set()
        await following


def starter() -> Permission:
    permission = Permission([STARTER], None)
    permission.renew()
    return permission


@pytest.mark.parametrize(
    ("name", "action", "permissions", "procedure", "allowed"),
    [
        ("mail.find", "read", (), "", True),
        ("mail.send", "send", (), "", True),
        ("identity.create_user", "create", (), "", True),
        ("http.request", "execute", (), "", True),
        ("http.request", "delete", (), "", False),
        ("calendar.cancel", "delete", (), "", False),
        ("calendar.cancel", "delete", (), "hr/offboarding", True),
        ("process.shell", "execute", (), "hr/x", False),
        ("process.container", "execute", (), "", False),
        ("sql.execute", "execute", ("sql.write",), "hr/x", False),
        ("sql.query", "read", ("sql.read",), "", True),
    ],
)
def test_the_line_that_the_starter_draws(
    name: str, action: str, permissions: tuple[str, ...], procedure: str, allowed: bool
) -> None:
    permissions = permissions or (f"{name.partition('.')[0]}.{action}",)
    tool = Wanted(name, "1.0.0", action, permissions, "installed")
    assert verdict(starter(), tool=tool, procedure=procedure) is (Verdict.ALLOWED if allowed else Verdict.DENIED)
    assert verdict(starter(), "ada", tool, procedure) is (Verdict.ALLOWED if allowed else Verdict.DENIED)
