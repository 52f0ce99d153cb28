"""What the files connector does on a real file system, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
import time

import pytest

from factotum.connectors.files import beneath, writing
from factotum.sdk.errors import (
    Conflict,
    Failed,
    InvalidArgument,
    NotFound,
    NotPermitted,
    ToolError,
    Unavailable,
)
from tests.support.files import Place


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
