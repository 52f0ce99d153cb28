"""What bubblewrap is told: no network, nothing of the machine but its programs, read-only, an empty folder in memory
to work in, no environment, no other process in sight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from factotum.sdk.processes import SEARCH
from factotum.sdk.sandbox import SCRIPTS, WORK

NOBODY = 65534
# Where programs share memory (shm_overview(7)), locks among them.
SHARED = "/dev/shm"  # noqa: S108  the sandbox's own
# Programs and libraries; what else there is, homes and configuration with secrets, is not there inside.
_PROGRAMS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_LINKS = ("/etc/alternatives", "/etc/ld.so.cache")
# Where distributions have the certificates that servers are verified by; no private key is there.
_TRUST = ("/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs", "/etc/pki/ca-trust/extracted")


def options(
    *,
    environment: Mapping[str, str],
    disk_bytes: int,
    shared_bytes: int,
    scripts: Mapping[str, int],
    files: Mapping[str, int],
    filters: int | None,
    trust: bool,
    folders: Sequence[str] = (),
) -> Iterator[str]:
    """To be given in a file: the command line of a process is for everyone to read.

    Args:
        disk_bytes, shared_bytes: of the folder to work in, and of that where memory is shared.
        scripts, files: names, and descriptors of what they hold.
        filters: a descriptor of what `seccomp` made.
        trust: the machine's certificates of authorities are there, for who verifies a server.
        folders: of the machine, that are there too, read-only.
    """
    yield from ("--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session")
    yield from ("--uid", str(NOBODY), "--gid", str(NOBODY), "--hostname", "sandbox", "--clearenv")
    yield from ("--ro-bind", "/usr", "/usr")
    for name in _PROGRAMS:
        path = Path("/") / name
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for link in (*_LINKS, *(_TRUST if trust else ())):
        yield from ("--ro-bind-try", link, link)
    yield from ("--proc", "/proc", "--dev", "/dev")
    # As many zeros, but it cannot be mapped: a shared mapping of /dev/zero is memory that counts for no process.
    yield from ("--dev-bind", "/dev/full", "/dev/zero")
    yield from ("--size", str(shared_bytes), "--tmpfs", SHARED)
    for name, descriptor in scripts.items():
        yield from ("--ro-bind-data", str(descriptor), f"{SCRIPTS}/{name}")
    yield from ("--size", str(disk_bytes), "--tmpfs", WORK)
    for folder in folders:
        yield from ("--ro-bind", folder, folder)
    for name, descriptor in files.items():
        yield from ("--file", str(descriptor), f"{WORK}/{name}")
    # These two are in memory as well, without a bound; what is mounted below them stays as it is.
    yield from ("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK)
    if filters is not None:
        yield from ("--seccomp", str(filters))
    for name, value in {"PATH": SEARCH, "HOME": WORK, "LANG": "C.UTF-8", **environment}.items():
        yield from ("--setenv", name, value)
