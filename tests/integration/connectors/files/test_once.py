"""A change of files is made once, whatever is killed at whatever step."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from factotum.connectors.files import receipts, writing
from factotum.connectors.files.settings import FilesSettings
from factotum.connectors.files.tools import connector
from factotum.sdk.errors import (
    Ambiguous,
    Unavailable,
)
from factotum.sdk.testing import World, check_tool
from factotum.sdk.tool import Connector
from tests.support.files import Place
from tests.support.kill_points import House, KillPoint, killed_and_called_again
from tests.support.tool_calls import NOW


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


@pytest.mark.parametrize("point", KillPoint)
@pytest.mark.parametrize("name", ["create", "write", "move", "delete"])
async def test_a_killed_executor_acts_once(place: Place, name: str, point: KillPoint, tmp_path: Path) -> None:
    given = await arguments(place, name, 1)
    house = House(connector, place.settings(), tmp_path, {})
    answer = await killed_and_called_again(house, f"files.{name}", given, point)
    assert answer.error is None
    assert standing(place, name, given) == 1
