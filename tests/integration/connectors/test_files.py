"""The files connector on a real file system."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factotum.connectors.files import beneath, receipts, writing
from factotum.connectors.files.settings import FilesSettings, Root
from factotum.connectors.files.tools import connector
from factotum.sdk.errors import (
    Ambiguous,
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from factotum.sdk.tool import Connector
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.tool_calls import NOW, tool_context

_numbers = count()


@dataclass(frozen=True)
class Place:
    path: Path

    def settings(self, **more: Any) -> FilesSettings:
        return FilesSettings(roots={"docs": Root.model_validate({"path": str(self.path), "writable": True} | more)})

    async def call(self, name: str, path: str = "", *, under: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
        tool = connector.tools[f"files.{name}"]
        key = arguments.pop("key", None) or f"key-{next(_numbers)}"
        context = tool_context(self.settings(**(under or {})), key=key, started_at=datetime.now(UTC))
        return await tool.function(tool.arguments.model_validate({"root": "docs", "path": path} | arguments), context)

    async def asked(self, name: str, path: str, **arguments: Any) -> Any:
        tool = connector.tools[f"files.{name}"]
        assert tool.reconciler is not None
        context = tool_context(
            self.settings(),
            key=arguments.pop("key", None) or f"key-{next(_numbers)}",
            started_at=arguments.pop("started_at", datetime.now(UTC)),
        )
        return await tool.reconciler(tool.arguments.model_validate({"root": "docs", "path": path} | arguments), context)

    def snapshot(self) -> dict[str, str]:
        return {
            str(file.relative_to(self.path)): str(file.readlink()) if file.is_symlink() else file.read_text()
            for file in sorted(self.path.rglob("*"))
            if (file.is_symlink() or file.is_file()) and ".factotum" not in file.parts
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    root = tmp_path / "root"
    root.mkdir()
    return Place(root)


# What they do


async def test_a_file_is_made_read_replaced_moved_and_deleted(place: Place) -> None:
    made = await place.call("create", "a/b/note.txt", content="Grüße")
    assert made.sha256 == hashlib.sha256("Grüße".encode()).hexdigest()
    read = await place.call("read", "a/b/note.txt")
    assert (read.content, read.version, read.sha256) == ("Grüße", made.version, made.sha256)
    seen = await place.call("stat", "a/b/note.txt")
    assert (seen.kind, seen.size, seen.version) == ("file", 7, made.version)
    again = await place.call("write", "a/b/note.txt", content="Bye", if_version=made.version)
    assert again.version != made.version
    moved = await place.call("move", "a/b/note.txt", to="c/bye.txt", version=again.version)
    assert (moved.version, moved.moved_from) == (again.version, "a/b/note.txt")
    assert place.snapshot() == {"c/bye.txt": "Bye"}
    listed = await place.call("list", recursive=True)
    assert [(entry.path, entry.kind) for entry in listed.entries] == [
        ("a", "folder"),
        ("a/b", "folder"),
        ("c", "folder"),
        ("c/bye.txt", "file"),
    ]
    assert [entry.path for entry in (await place.call("list", "c")).entries] == ["c/bye.txt"]
    assert (await place.call("list", recursive=True, limit=3)).truncated
    await place.call("delete", "c/bye.txt", version=again.version)
    await place.call("delete", "c/bye.txt", version=again.version)
    await place.call("delete", "nowhere/bye.txt", version=again.version)
    assert place.snapshot() == {}


async def test_bytes_go_in_and_out_as_base64(place: Place) -> None:
    data = bytes(range(256))
    await place.call("create", "x", content=base64.b64encode(data).decode(), encoding="base64")
    with pytest.raises(InvalidArgument, match="base64"):
        await place.call("read", "x")
    assert base64.b64decode((await place.call("read", "x", encoding="base64")).content) == data
    with pytest.raises(InvalidArgument, match="base64"):
        await place.call("create", "y", content="?", encoding="base64")


async def test_a_file_changes_only_from_the_version_that_was_meant(place: Place) -> None:
    first = await place.call("create", "x", content="one")
    with pytest.raises(Conflict, match="there already"):
        await place.call("create", "x", content="two")
    second = await place.call("write", "x", content="two")
    for name, more in (
        ("write", {"content": "three", "if_version": first.version}),
        ("delete", {"version": first.version}),
        ("move", {"to": "y", "version": first.version}),
    ):
        with pytest.raises(Conflict, match="version") as raised:
            await place.call(name, "x", **more)
        assert not raised.value.effect_possible
    await place.call("create", "y", content="other")
    with pytest.raises(Conflict, match="there already"):
        await place.call("move", "x", to="y", version=second.version)
    with pytest.raises(NotFound):
        await place.call("move", "z", to="w", version=second.version)
    with pytest.raises(NotFound):
        await place.call("write", "z", content="x", if_version=second.version)
    assert place.snapshot() == {"x": "two", "y": "other"}


async def test_limits(place: Place) -> None:
    with pytest.raises(InvalidArgument, match="11 bytes"):
        await place.call("create", "x", content="x" * 11, under={"max_bytes": 10})
    await place.call("create", "x", content="x" * 11)
    with pytest.raises(InvalidArgument, match="11 bytes"):
        await place.call("read", "x", under={"max_bytes": 10})
    with pytest.raises(Failed, match="21 bytes") as raised:
        await place.call("create", "y", content="y" * 10, under={"quota_bytes": 20})
    assert not raised.value.effect_possible
    await place.call("write", "x", content="z" * 20, under={"quota_bytes": 20})
    with pytest.raises(NotPermitted, match="writable"):
        await place.call("delete", "x", version="1", under={"writable": False})
    with pytest.raises(Unavailable):
        await place.call("list", under={"path": str(place.path / "nowhere")})
    assert place.snapshot() == {"x": "z" * 20}


async def test_what_is_no_file(place: Place) -> None:
    os.mkfifo(place.path / "pipe")
    (place.path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises((InvalidArgument, NotFound)):
            await place.call("read", name)
        with pytest.raises(Conflict):
            await place.call("write", name, content="x")
    with pytest.raises(InvalidArgument, match="no folder"):
        await place.call("create", "pipe/x", content="x")


async def test_a_file_is_never_seen_in_part(place: Place) -> None:
    await place.call("create", "x", content="a" * 500_000)
    stop = threading.Event()
    seen: set[str] = set()

    def look() -> None:
        while not stop.is_set():
            seen.add((place.path / "x").read_text())

    watching = threading.Thread(target=look)
    watching.start()
    for letter in "bcdefgh":
        await place.call("write", "x", content=letter * 500_000)
    stop.set()
    watching.join()
    assert all(len(set(text)) == 1 and len(text) == 500_000 for text in seen)


async def test_of_writers_at_once_from_one_version_one_writes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    look = writing.look

    def slow(inside: int, name: str) -> os.stat_result | None:
        found = look(inside, name)
        time.sleep(0.02)
        return found

    monkeypatch.setattr(writing, "look", slow)
    first = await place.call("create", "x", content="0")
    ended = await asyncio.gather(
        *(place.call("write", "x", content=str(number), if_version=first.version) for number in range(8)),
        return_exceptions=True,
    )
    assert [type(one) for one in ended].count(Conflict) == 7


async def test_what_a_killed_write_left_is_taken_away(place: Place) -> None:
    workshop = place.path / ".factotum"
    workshop.mkdir()
    (workshop / "old").write_text("left")
    (workshop / "new").write_text("under way")
    os.utime(workshop / "old", (0, 0))
    await place.call("create", "x", content="x")
    assert {file.name for file in workshop.iterdir()} == {"new", "receipts"}
    assert ".factotum" not in [entry.path for entry in (await place.call("list")).entries]


# Beneath

OUT = "secret of another"
NAMES = st.sampled_from(
    [
        "a",
        "b",
        "deep",
        "file",
        "..",
        ".",
        "",
        "out",
        "up",
        "outfile",
        "self",
        "root",
        ".factotum",
        "é",
        "x" * 300,
        "a\0b",
        "\ud800",
    ]
)
PATHS = st.lists(NAMES, min_size=1, max_size=5).map("/".join) | st.sampled_from(
    [
        "/etc/passwd",
        "//etc/passwd",
        "../outside/secret",
        "a/../../outside/secret",
        "out/secret",
        "outfile",
        "up/outside/x",
    ]
)
CALLS = st.sampled_from(["read", "stat", "list", "create", "write", "move", "delete"])


def world(folder: Path) -> Place:
    """A root with links of every kind that lead out of it, beside a folder that is not to be touched."""
    outside, root = folder / "outside", folder / "root"
    (root / "a/deep").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text(OUT)
    (root / "file").write_text("inside")
    (root / "a/file").write_text("inside")
    (root / "out").symlink_to(outside)
    (root / "a/up").symlink_to("../..")
    (root / "outfile").symlink_to(outside / "secret")
    (root / "a/self").symlink_to(root)
    return Place(root)


def touched(folder: Path) -> dict[str, str]:
    return Place(folder / "outside").snapshot()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CALLS, PATHS, PATHS), min_size=1, max_size=4))
@example([("read", "a/../../outside/secret", "a"), ("write", "../outside/new", "a"), ("list", "a/..", "a")])
@example([("write", "outfile", "a"), ("read", "out/secret", "a"), ("delete", "out/secret", "a")])
@example([("move", "file", "out/file"), ("create", "out/new", "a"), ("list", "out", "a"), ("read", "outfile", "a")])
def test_nothing_leads_out(calls: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made)
        place = world(folder)

        async def run() -> None:
            version = (await place.call("stat", "file")).version
            for name, path, other in calls:
                more: dict[str, Any] = {
                    "create": {"content": "x"},
                    "write": {"content": "x"},
                    "move": {"to": other, "version": version},
                    "delete": {"version": version},
                }.get(name, {})
                try:
                    answer = await place.call(name, path, **more)
                except (ToolError, ValueError):
                    continue
                text = answer.model_dump_json()
                assert OUT not in text and "secret" not in text.replace(path, "")

        asyncio.run(run())
        assert touched(folder) == {"secret": OUT}
        assert {file.name for file in folder.iterdir()} == {"outside", "root"}


async def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    place, stop = world(tmp_path), threading.Event()
    swapped = place.path / "b"

    def swap() -> None:
        while not stop.is_set():
            # A write makes the folder meanwhile, or puts a file into it.
            with suppress(OSError):
                swapped.symlink_to(tmp_path / "outside")
                swapped.unlink()
                swapped.mkdir()
                (swapped / "secret").write_text("inside")
            shutil.rmtree(swapped, ignore_errors=True)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for number in range(60):
            for name, more in (("read", {}), ("write", {"content": f"{number}"}), ("list", {})):
                path = "b" if name == "list" else "b/secret"
                try:
                    answer = await place.call(name, path, **more)
                except (ToolError, FileNotFoundError):
                    continue
                assert OUT not in answer.model_dump_json()
    finally:
        stop.set()
        swapping.join()
    assert touched(tmp_path) == {"secret": OUT}


# Once


async def test_what_is_there_was_put_there_by_the_call_of_its_key(place: Place) -> None:
    for name, later in (("create", {}), ("write", {}), ("write", {"if_version": "1-1-1"})):
        path, key = f"{name}/{len(later)}", f"{name}-{len(later)}"
        assert await place.asked(name, path, key=key, content="same") is None
        made = await place.call(name, path, key=key, content="same")
        assert await place.asked(name, path, key=key, content="same", **later) == made
        assert await place.asked(name, path, content="same") is None
        # An attempt beside it, or one that was not asked for before, does nothing more.
        assert await place.call(name, path, key=key, content="same") == made
        assert await place.asked(name, "elsewhere", key=f"{key}x", content="same") is None


def taken(file: Path) -> None:
    file.unlink()


def changed(file: Path) -> None:
    file.write_text("by a person")


def replaced(file: Path) -> None:
    file.with_name("other").write_text("by a person")
    file.with_name("other").rename(file)


@pytest.mark.parametrize("touch", [taken, changed, replaced])
@pytest.mark.parametrize("name", ["create", "write"])
async def test_what_became_of_a_file_since_makes_no_second_one(
    place: Place, name: str, touch: Callable[[Path], None], tmp_path: Path
) -> None:
    """As folders are for from which another program takes what it finds."""
    given = {"root": "docs", "path": "out/order", "content": "1 x screw"}
    house = House(touched_after(name, lambda: touch(place.path / "out/order")), place.settings(), tmp_path, {})
    answer = await killed_and_called_again(house, f"files.{name}", given, KillPoint.BEFORE_THE_ANSWER)
    assert answer.error is None
    assert place.snapshot().get("out/order") == (None if touch is taken else "by a person")


def touched_after(name: str, touch: Callable[[], None]) -> Connector[FilesSettings]:
    tool = connector.tools[f"files.{name}"]

    async def function(arguments: Any, context: Any) -> Any:
        output = await tool.function(arguments, context)
        touch()
        return output

    made = copy(tool)
    made.function = function
    other = Connector("files", settings=FilesSettings)
    other.tools = connector.tools | {tool.spec.name: made}
    return other


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("name", "function", "happened"),
    [
        ("create", "symlink", False),
        ("create", "link", None),
        ("create", "unlink", True),
        ("write", "symlink", False),
        ("write", "rename", False),
    ],
)
@pytest.mark.parametrize("after", [False, True])
async def test_a_kill_at_any_step_is_told_from_what_is_left(
    place: Place, name: str, function: str, happened: bool | None, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, function)

    def dying(*arguments: Any, **more: Any) -> None:
        mine = function != "rename" or arguments[1] == "x"
        if mine and not after:
            raise Killed
        real(*arguments, **more)
        if mine:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, function, dying)
        with pytest.raises(Killed):
            await place.call(name, "x", key="one", content="ours")
    there = place.snapshot().get("x") == "ours"
    assert there is (happened is True or (after and function in ("link", "rename")))
    if name == "create" and not there and (after or function == "link"):
        # Or it was there, and another has taken it since.
        with pytest.raises(Ambiguous):
            await place.asked(name, "x", key="one", content="ours")
    else:
        assert (await place.asked(name, "x", key="one", content="ours") is not None) is there
    # Where it did not happen, or a person says so.
    made = await place.call(name, "x", key="one", content="ours")
    assert place.snapshot() == {"x": "ours"}
    assert await place.asked(name, "x", key="one", content="ours") == made


async def test_receipts_are_kept_for_a_while_and_nothing_is_said_of_older_calls(place: Place) -> None:
    await place.call("create", "x", key="one", content="x")
    (day,) = (place.path / ".factotum/receipts").iterdir()
    day.rename(day.with_name((NOW - receipts.KEPT).date().isoformat()))
    await place.call("create", "y", content="y")
    assert await place.asked("create", "x", key="one", content="x") is not None
    kept = (NOW - receipts.KEPT).date()
    day.with_name(kept.isoformat()).rename(day.with_name((kept - timedelta(days=1)).isoformat()))
    await place.call("create", "z", content="z")
    assert [one.name for one in (place.path / ".factotum/receipts").iterdir()] == [day.name]
    with pytest.raises(Ambiguous, match="long ago"):
        long_ago = NOW - receipts.KEPT - timedelta(seconds=1)
        await place.asked("create", "x", key="one", content="x", started_at=long_ago)


async def test_an_error_after_the_change_leaves_it_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(Unavailable, match="I/O error") as raised:
            await place.call("create", "x", key="one", content="x")
    assert raised.value.effect_possible
    assert await place.asked("create", "x", key="one", content="x") is not None


async def test_a_move_that_was_killed_between_the_two_names_is_finished(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await place.call("create", "x", content="x")
    with monkeypatch.context() as patch:
        patch.setattr(writing.os, "unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            writing.move(os.open(place.path, os.O_RDONLY), ["x"], ["y"], made.version)
    assert place.snapshot() == {"x": "x", "y": "x"}
    for _ in range(2):
        await place.call("move", "x", to="y", version=made.version)
        assert place.snapshot() == {"y": "x"}


async def arguments(place: Place, name: str, number: int) -> dict[str, Any]:
    given: dict[str, Any] = {"root": "docs", "path": f"{name}/{number}"}
    if name in ("create", "write"):
        given["content"] = f"content {number}"
    if name in ("move", "delete", "read", "stat", "list"):
        made = await place.call("create", f"{name}/{number}", content=f"content {number}")
        given |= {"version": made.version} if name in ("move", "delete") else {}
    if name == "move":
        given["to"] = f"moved/{number}"
    if name == "list":
        given["path"] = name
    return {} if name == "roots" else given


def standing(place: Place, name: str, given: Mapping[str, Any]) -> int:
    there = place.snapshot()
    if name == "delete":
        return int(given["path"] not in there)
    if name == "move":
        return int(given["to"] in there and given["path"] not in there)
    return int(given["path"] in there)


@pytest.mark.parametrize("name", [name.partition(".")[2] for name in connector.tools])
async def test_conformance(place: Place, name: str) -> None:
    async def stands(given: Mapping[str, Any]) -> int:
        return standing(place, name, given)

    undo = connector.tools[f"files.{name}"].spec.compensation
    world: World[FilesSettings] = World(
        settings=place.settings(),
        arguments=lambda number: arguments(place, name, number),
        standing=stands if name in ("create", "write", "move", "delete") else None,
        undo=undo and connector.tools[undo.call],
        away=None if name == "roots" else place.settings(path="/nowhere"),
    )
    (await check_tool(connector.tools[f"files.{name}"], world)).assert_passed()


# How deep, and what a refusal leaves


async def test_deep_paths_are_refused_and_deep_folders_are_not_looked_into(place: Place) -> None:
    deepest = "/".join(["a"] * (beneath.DEEPEST - 1))
    await place.call("create", f"{deepest}/x", content="x")
    with pytest.raises(InvalidArgument, match="at most 64 names"):
        await place.call("create", f"{deepest}/a/x", content="x")
    assert not (await place.call("list", recursive=True)).truncated
    (place.path / deepest / "b").mkdir()
    deep = os.open(place.path / deepest / "b", os.O_RDONLY)
    for _ in range(100):
        os.mkdir("d", dir_fd=deep)
        deep, above = os.open("d", os.O_RDONLY, dir_fd=deep), deep
        os.close(above)
    os.close(deep)
    listed = await place.call("list", recursive=True)
    assert (len(listed.entries), listed.truncated) == (beneath.DEEPEST + 1, True)
    with pytest.raises(Failed, match="deeper"):
        await place.call("create", "x", content="x", under={"quota_bytes": 10**9})
    await place.call("create", "x", content="x")


async def test_a_refused_call_leaves_no_folders(place: Place) -> None:
    (place.path / "there").mkdir()
    for name, path, more in (
        ("create", "there/a/b/x", {"content": "x" * 9}),
        ("write", "there/a/b/x", {"content": "x" * 9}),
        ("write", "there/a/b/x", {"content": "", "if_version": "1-1-1"}),
        ("move", "nowhere", {"to": "there/a/b/x", "version": "1-1-1"}),
        ("create", f"there/a/b/{'x' * 300}", {"content": ""}),
        ("create", f"there/a/{'x' * 300}/b", {"content": ""}),
    ):
        with pytest.raises(ToolError) as raised:
            await place.call(name, path, under={"quota_bytes": 3 * 4096 + 8}, **more)
        assert not raised.value.effect_possible
        assert {file.name for file in place.path.iterdir()} <= {"there", ".factotum"}
        assert list((place.path / "there").iterdir()) == []


async def test_folders_are_of_the_quota(place: Place) -> None:
    with pytest.raises(Failed, match="12289 bytes"):
        await place.call("create", "a/b/c/x", content="x", under={"quota_bytes": 3 * 4096})
    await place.call("create", "a/b/c/x", content="x", under={"quota_bytes": 3 * 4096 + 1})


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("name", ["create", "write", "move", "delete"])
async def test_a_killed_executor_acts_once(place: Place, name: str, point: KillPoint, tmp_path: Path) -> None:
    given = await arguments(place, name, 1)
    house = House(connector, place.settings(), tmp_path, {})
    answer = await killed_and_called_again(house, f"files.{name}", given, point)
    assert answer.error is None
    assert standing(place, name, given) == 1
