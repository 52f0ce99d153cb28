"""A real PostgreSQL server for tests: a throw-away cluster, reached by a socket in its own folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

# Where Debian and others put the server, which is not on PATH.
_FOLDERS = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/pgsql/bin"))


class Cluster:
    """A running server. Each `url` is that of empty tables of its own."""

    def __init__(self, folder: Path, pid: int) -> None:
        self._folder = folder
        self.pid = pid
        self._numbers = count()

    def url(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return f"postgresql://tester:hunter2@/postgres?host={self._folder}&options=-csearch_path%3D{name}"

    def sql(self, statement: str) -> str:
        """What psql answers."""
        command = [_binary("psql"), "-h", str(self._folder), "-U", "tester", "-d", "postgres", "-AtXqc", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _binary(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*map(str, _FOLDERS), os.environ.get("PATH", "")]))
    if found is None:
        reason = f"a ledger in PostgreSQL needs its server ({name}): make servers"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[Cluster]:
    """Skips the test where there is no PostgreSQL; in CI that is a failure. Nothing of it is to outlive the test, so
    it does not wait for the disk unless it is `durable`."""
    initdb, server = _binary("initdb"), _binary("postgres")
    folder = Path(tempfile.mkdtemp(prefix="factotum-postgres-"))
    # The server refuses to be root.
    user = _other_user() if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(folder, user)
    data = folder / "data"
    subprocess.run(
        [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
        check=True,
        capture_output=True,
        user=user,
        cwd=folder,
    )
    fsync = "on" if durable else "off"
    options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", f"fsync={fsync}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([server, "-D", data, *options], stdout=log, stderr=log, user=user, cwd=folder)
    try:
        _wait(process, folder)
        yield Cluster(folder, process.pid)
    finally:
        process.send_signal(signal.SIGINT)  # SIGTERM would wait for those who are connected
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait(process: subprocess.Popen[bytes], folder: Path) -> None:
    ready = [_binary("pg_isready"), "-q", "-h", str(folder)]
    deadline = time.monotonic() + 30
    while subprocess.run(ready).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.05)


def _other_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
