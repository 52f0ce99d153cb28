"""Milvus Lite as a child process that ends with its parent, however that ends.

The engine is started here and not by its Python package, because that package needs `pkg_resources`,
gives up at once when the file is still held by an engine that is just ending, and does not notice
when its engine died. The engine's own rule is kept: it lives as long as its parent holds the lock
file, waits for that lock, and exits the moment it gets it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import socket
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path
from typing import IO

from factotum.memory.errors import StoreUnavailable

START_SECONDS = 20.0
STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05
# Of a socket's path: 107 bytes on Linux, 103 elsewhere.
_LONGEST_SOCKET = 100
# The engine would leave a file in the temporary folder at each start; its errors go where ours do. Whoever wants to
# see more sets these variables.
_QUIET = {"GLOG_logtostderr": "1", "GLOG_minloglevel": "2"}


class LiteServer:
    """One engine on one file. All methods block; they are not to be called from two threads at once."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None

    def start(self) -> str:
        """The address (`unix:…`) of a running engine, started if it is not running.

        Raises `StoreUnavailable` if another process holds the file for longer than `START_SECONDS`.
        """
        if self._process is not None and self._process.poll() is None:
            return self._address
        self.stop()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + START_SECONDS
        self._acquire(deadline)
        self._socket = self._free_socket()
        self.index_keys()
        # The engine of a killed parent may hold the file for a moment longer than its lock.
        while not self._started(deadline):
            if time.monotonic() > deadline:
                self.stop()
                raise StoreUnavailable(f"Milvus Lite did not start on {self._path}: is it in use?")
        return self._address

    def index_keys(self) -> None:
        """Lets the file find a row by its key: the engine itself reads all rows to replace or delete one.

        Not to be called while the engine does something. To be called again when a collection was made.
        """
        if not self._path.exists():
            return
        with contextlib.closing(sqlite3.connect(self._path, timeout=START_SECONDS)) as file, file:
            tables = file.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
            for table, definition in tables:
                if "milvus_id" in definition:
                    name = table.replace('"', '""')
                    file.execute(f'CREATE INDEX IF NOT EXISTS "{name}_by_key" ON "{name}" (milvus_id)')

    def scrub(self) -> None:
        """Writes the file anew: of what was deleted, nothing is left in it. About 4 s for 100,000 rows.

        Not to be called while the engine does something. Raises `StoreUnavailable` if the disk is full.
        """
        try:
            with contextlib.closing(sqlite3.connect(self._path, timeout=START_SECONDS, isolation_level=None)) as file:
                file.execute("VACUUM")
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._path} could not be written anew: {error}") from error

    def stop(self) -> None:
        """Ends the engine. Harmless if there is none."""
        if self._lock is not None:
            self._lock.close()  # lets go of the lock, on which the engine ends
            self._lock = None
        if self._process is not None:
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)
            if self._socket.parent != self._path.parent:
                with contextlib.suppress(OSError):
                    self._socket.parent.rmdir()
            self._socket = None

    @property
    def _address(self) -> str:
        return f"unix:{self._socket}"

    def _free_socket(self) -> Path:
        """Where there is none: what a killed process left there is gone. To be called by who holds the lock."""
        beside = self._path.parent / f".{self._path.name}.sock"
        if len(os.fsencode(beside)) <= _LONGEST_SOCKET and _takes_a_socket(beside):
            return beside
        name = hashlib.sha256(os.fsencode(self._path)).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"factotum-{os.getuid()}-{name}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            mine = folder.lstat()
        except OSError as error:
            raise StoreUnavailable(f"{folder} cannot be made: {error}") from error
        if folder.is_symlink() or mine.st_uid != os.getuid() or mine.st_mode & 0o077:
            raise StoreUnavailable(f"{folder} is not this user's alone: remove it, or shorten the path of the file")
        (folder / "s").unlink(missing_ok=True)
        return folder / "s"

    @property
    def _lock_path(self) -> Path:
        return self._path.parent / f".{self._path.name}.lock"

    def _acquire(self, deadline: float) -> None:
        self._lock = self._lock_path.open("a")
        while True:
            try:
                fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if time.monotonic() > deadline:
                    self.stop()
                    raise StoreUnavailable(f"{self._path} is in use by another process") from error
            time.sleep(_POLL_SECONDS)

    def _started(self, deadline: float) -> bool:
        """Whether a new engine listens; it may give up at once."""
        folder = _engine_folder()
        self._process = subprocess.Popen(  # noqa: S603
            [folder / "milvus", self._path, self._address, "ERROR", self._lock_path],
            env={
                **_QUIET,
                **os.environ,
                "LD_LIBRARY_PATH": os.pathsep.join([str(folder), os.environ.get("LD_LIBRARY_PATH", "")]),
            },
            cwd=self._path.parent,
            # A Ctrl-C is for the parent, which stops the engine after its last write.
            start_new_session=True,
        )
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_POLL_SECONDS)
                return False
            if self._socket is not None and self._socket.exists():
                return True
        self._process.kill()
        self._process.wait()
        return False


def _takes_a_socket(path: Path) -> bool:
    """Whether there can be one; not every file system has them. Removes what is there."""
    path.unlink(missing_ok=True)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as tried:
        try:
            tried.bind(os.fspath(path))
        except OSError:
            return False
    path.unlink()
    return True


def _engine_folder() -> Path:
    spec = importlib.util.find_spec("milvus_lite")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (Path(folder) / "lib" / "milvus").is_file():
            return Path(folder) / "lib"
    raise StoreUnavailable("Milvus Lite is not installed: install milvus-lite 2.5 (factotum[memory])")
