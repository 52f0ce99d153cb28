"""The folder of claims: what it gives back is what was put there, or an error that says what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim, StorageDriverRetrieveContext, StorageDriverStoreContext

from factotum.runs.claims import MOST_INLINE_BYTES, FolderOfClaims, converter, most_moved_bytes
from factotum.runs.errors import ClaimUnreadable
from factotum.runtime.settings import ClaimSettings

STORE, RETRIEVE = StorageDriverStoreContext(), StorageDriverRetrieveContext()


def payload(text: str) -> Payload:
    return Payload(metadata={"encoding": b"json/plain", "other": b"1"}, data=text.encode())


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_only_without_a_store_is_there_a_bound_of_what_a_run_carries(tmp_path: Path) -> None:
    assert most_moved_bytes(ClaimSettings()) == MOST_INLINE_BYTES < 2 * 1024 * 1024
    assert most_moved_bytes(ClaimSettings(folder=tmp_path)) == 0


async def test_what_is_stored_again_is_as_young_as_what_is_new(tmp_path: Path) -> None:
    folder = FolderOfClaims(tmp_path)
    await folder.store(STORE, [payload("a")])
    (file,) = files(tmp_path)
    os.utime(file, (0, 0))
    await folder.store(STORE, [payload("a")])
    assert files(tmp_path) == [file] and file.stat().st_mtime > 0


async def test_what_is_stored_comes_back_and_is_kept_once(tmp_path: Path) -> None:
    folder = FolderOfClaims(tmp_path / "claims")
    given = [payload("a" * 1000), payload("b"), payload("a" * 1000)]
    claims = await folder.store(STORE, given)
    assert claims[0] == claims[2] != claims[1]
    assert await folder.retrieve(RETRIEVE, claims) == given
    assert len(files(tmp_path)) == 2
    assert {path.stat().st_mode & 0o077 for path in files(tmp_path)} == {0}, "payloads are nobody else's business"


async def test_a_missing_a_changed_and_a_foreign_claim_are_told_apart(tmp_path: Path) -> None:
    folder = FolderOfClaims(tmp_path)
    (claim,) = await folder.store(STORE, [payload("a")])
    (path,) = files(tmp_path)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(ClaimUnreadable, match=f"was changed: the file {path}"):
        await folder.retrieve(RETRIEVE, [claim])
    path.unlink()
    with pytest.raises(ClaimUnreadable, match=f"is gone: there is no file {path}"):
        await folder.retrieve(RETRIEVE, [claim])
    with pytest.raises(ClaimUnreadable, match="not a claim of this store"):
        await folder.retrieve(RETRIEVE, [StorageDriverClaim({"sha256": "../../etc/passwd"})])


async def test_only_what_is_large_is_stored(tmp_path: Path) -> None:
    made = converter(ClaimSettings(folder=tmp_path, threshold_bytes=2000))
    small, large = {"text": "x" * 1000}, {"text": "x" * 5000}
    encoded = await made.encode([small, large])
    assert len(files(tmp_path)) == 1
    assert encoded[1].ByteSize() < 500
    assert await made.decode(encoded) == [small, large]


async def test_without_a_folder_nothing_is_stored() -> None:
    assert converter(ClaimSettings()).external_storage is None
