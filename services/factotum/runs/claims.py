"""The claim check: payloads past a size are kept in a store, and Temporal gets a claim to them.

Source of the protocol: `temporalio.converter.ExternalStorage`. See decision 0021.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from factotum.runs.errors import ClaimUnreadable
from factotum.runtime.settings import ClaimSettings

SHA256 = "sha256"
# Temporal's own bound of a payload, 2 MiB, less what it adds to one.
MOST_INLINE_BYTES = 2 * 1024 * 1024 - 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class FolderOfClaims(StorageDriver):
    """Keeps each payload in a file that is named after its content, so that none is kept twice or changed.

    A claim is given out only after its file is on the disk. The folder is made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def name(self) -> str:
        # Stands in every claim: a run that waits for months finds its payloads by it.
        return "factotum-folder"

    async def store(self, context: StorageDriverStoreContext, payloads: Sequence[Payload]) -> list[StorageDriverClaim]:
        return await asyncio.to_thread(lambda: [self._store(payload) for payload in payloads])

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Raises `ClaimUnreadable`."""
        return await asyncio.to_thread(lambda: [self._retrieve(claim) for claim in claims])

    def _store(self, payload: Payload) -> StorageDriverClaim:
        data = payload.SerializeToString(deterministic=True)
        digest = hashlib.sha256(data).hexdigest()
        path = self._path(digest)
        try:
            # Files are removed by age, which counts from the last time that one was given out.
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                try:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    Path(file.name).replace(path)
                except BaseException:
                    Path(file.name).unlink(missing_ok=True)
                    raise
            _sync(path.parent)
        return StorageDriverClaim({SHA256: digest})

    def _retrieve(self, claim: StorageDriverClaim) -> Payload:
        digest = claim.claim_data.get(SHA256, "")
        if not _DIGEST.fullmatch(digest):
            raise ClaimUnreadable(f"not a claim of this store: {dict(claim.claim_data)}")
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise ClaimUnreadable(f"the payload {digest} is gone: there is no file {path}") from error
        if hashlib.sha256(data).hexdigest() != digest:
            raise ClaimUnreadable(f"the payload {digest} was changed: the file {path} has another sha256")
        return Payload.FromString(data)

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def converter(settings: ClaimSettings) -> DataConverter:
    """How payloads are written and read. Who reads a run's payloads needs the settings that wrote them."""
    if settings.folder is None:
        return pydantic_data_converter
    storage = ExternalStorage(
        drivers=[FolderOfClaims(settings.folder)], payload_size_threshold=settings.threshold_bytes
    )
    return dataclasses.replace(pydantic_data_converter, external_storage=storage)


def most_moved_bytes(settings: ClaimSettings) -> int:
    """For `Limits.moved_bytes`."""
    return MOST_INLINE_BYTES if settings.folder is None else 0


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
