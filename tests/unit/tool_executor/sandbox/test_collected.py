"""What comes out of a sandbox is written by whoever is in it."""

from __future__ import annotations

import os
import struct

import pytest

from factotum.tool_executor.sandbox.collected import Collected, matches


def framed(name: bytes, content: bytes, *, named: int | None = None, long: int | None = None) -> bytes:
    lengths = (len(name) if named is None else named, len(content) if long is None else long)
    return struct.pack(">IQ", *lengths) + name + content


async def collected(written: bytes, *wanted: str, most: int = 1000) -> tuple[dict[str, bytes], bool]:
    async with Collected(wanted, most=most) as made:
        os.write(made.theirs, written)
        return await made.files(), made.overflowed


async def test_only_what_was_asked_for_is_taken() -> None:
    names = [b"x", b"y.txt", b"../y.txt", b"/etc/passwd", b"a/y.txt", b"a/../y.txt", b"", b"other", b"\xff.txt"]
    written = b"".join(framed(name, b"hi") for name in names)
    found, overflowed = await collected(written, "x", "*.txt", "a/*")
    assert found == dict.fromkeys(["x", "y.txt", "a/y.txt", "\ufffd.txt"], b"hi") and not overflowed


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"\0" * 11,
        framed(b"x", b"hi", long=2**63),
        framed(b"x", b"hi", named=2**32 - 1),
        framed(b"x", b"hi", named=2**32 - 1, long=2**64 - 1),
    ],
)
async def test_lengths_are_not_believed(written: bytes) -> None:
    found, _ = await collected(written, "x")
    assert set(found) <= {"x"} and all(len(content) <= 2 for content in found.values())


async def test_no_more_is_kept_than_was_said() -> None:
    found, overflowed = await collected(framed(b"x", b"h" * 5000), "x", most=100)
    assert overflowed and len(found["x"]) < 100


def test_a_star_is_in_one_folder() -> None:
    assert matches("a/b.txt", "*/*.txt") and not matches("a/b.txt", "*.txt") and not matches("../b", "*/b")
