"""The files of policies and of groups: read at the start, and again when they change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from factotum.runtime import groups
from factotum.runtime.groups import GroupsInvalid
from factotum.tool_executor.policy.asking import Principal, Wanted
from factotum.tool_executor.policy.judging import Given, Judge
from factotum.tool_executor.policy.policies import SUFFIX, PoliciesInvalid, PolicyFault, policies
from factotum.tool_executor.policy.verdicts import Judgement

log = structlog.get_logger(__name__)

STARTER: Final = Path(__file__).parent / "starter"
# How old what is judged by may be.
POLL_SECONDS: Final = 2.0

Stamps: TypeAlias = frozenset[tuple[str, int, int]]


class Permission:
    """Judges by what the files say; nothing is read before `renew`.

    Args:
        folders: of `*.cedar` files; their subfolders are not looked into.
        groups_file: who is in which group (`factotum.runtime.groups`); None: nobody is in any.
    """

    def __init__(self, folders: Sequence[Path], groups_file: Path | None) -> None:
        self._folders = folders
        self._groups_file = groups_file
        self._judge: Judge | None = None
        self._read: Stamps = frozenset()

    def judge(self, principal: Principal, tool: Wanted, given: Given | None = None) -> Judgement:
        """As `Judge.judge`."""
        if self._judge is None:
            raise RuntimeError("the policies were not read yet")
        return self._judge.judge(principal, tool, given)

    def renew(self) -> None:
        """Reads the files if they are other ones than before. Raises `PoliciesInvalid`, `GroupsInvalid`; what was
        read before then holds."""
        stamps = self._stamps()
        if self._judge is not None and stamps == self._read:
            return
        # Also of what is faulty: it is told once.
        self._read = stamps
        found = policies(texts(self._folders))
        own = [folder for folder in self._folders if folder != STARTER]
        where = f"a .cedar file in {own[-1]}" if own else "a .cedar file in a folder of FACTOTUM_POLICIES"
        self._judge = Judge(found, groups.load(self._groups_file), where=where)
        log.info("policies read", policies=len(found), folders=[str(folder) for folder in self._folders])

    async def keep_up(self, stop: asyncio.Event) -> None:
        """Reads the files again when they change, until `stop` is set. Faulty ones change nothing; it is logged."""
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), timeout=POLL_SECONDS)
            except TimeoutError:
                try:
                    await asyncio.to_thread(self.renew)
                except (PoliciesInvalid, GroupsInvalid) as error:
                    log.error("what was read before still holds", reason=str(error))

    def _stamps(self) -> Stamps:
        paths = [*files(self._folders), *([self._groups_file] if self._groups_file else [])]
        return frozenset(_stamp(path) for path in paths)


def texts(folders: Iterable[Path]) -> dict[str, str]:
    """The files of policies by name, or by path where two have one name. Raises `PoliciesInvalid` for what cannot be
    read."""
    found: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            raise PoliciesInvalid([PolicyFault(str(folder), 0, "there is no such folder", "Set FACTOTUM_POLICIES")])
    paths = files(folders)
    names = Counter(path.name for path in paths)
    for path in paths:
        try:
            found[path.name if names[path.name] == 1 else str(path)] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise PoliciesInvalid([PolicyFault(str(path), 0, f"it cannot be read: {why}")]) from error
    return found


def files(folders: Iterable[Path]) -> list[Path]:
    """The files of policies, folder by folder, by name. A folder that is not there has none."""
    return [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir()) if path.suffix == SUFFIX]


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:  # gone since it was listed; reading says so
        return str(path), 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size
