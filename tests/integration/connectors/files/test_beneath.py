"""No path of a call leads out of its root."""

from __future__ import annotations

import asyncio
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from factotum.sdk.errors import (
    ToolError,
)
from tests.support.files import Place

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
