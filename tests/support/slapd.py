"""A real LDAP server for tests: Debian's slapd with an empty database of its own, on free ports of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import free_port

BASE = "dc=acme,dc=example"
ADMIN, PASSWORD = f"cn=admin,{BASE}", "hunter2-and-more"
# Reads, and changes nothing.
READER = f"cn=reader,{BASE}"

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload unique
pidfile {folder}/pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "dc=example"
directory {folder}/data
maxsize 67108864
dbnosync
rootdn "{admin}"
rootpw {password}
overlay unique
unique_uri ldap:///?mail?sub
access to attrs=userPassword by anonymous auth
access to * by dn.base="{reader}" read
"""
_ENTRIES = """
dn: dc=example
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {base}
objectClass: dcObject
objectClass: organization
dc: acme
o: Acme

dn: ou=people,{base}
objectClass: organizationalUnit
ou: people

dn: ou=left,{base}
objectClass: organizationalUnit
ou: left

dn: ou=groups,{base}
objectClass: organizationalUnit
ou: groups

dn: cn=reader,{base}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: {password}

dn: cn=staff,ou=groups,{base}
objectClass: groupOfNames
cn: staff
member: cn=reader,{base}

dn: dc=globex,dc=example
objectClass: dcObject
objectClass: organization
dc: globex
o: Globex

dn: cn=secret,dc=globex,dc=example
objectClass: organizationalRole
cn: secret
"""


@dataclass(frozen=True)
class Slapd:
    port: int
    tls_port: int
    ca: Path

    @property
    def url(self) -> str:
        return f"ldap://localhost:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://localhost:{self.tls_port}"


@contextmanager
def slapd() -> Iterator[Slapd]:
    """Skips the test where there is no slapd; in CI that is a failure."""
    program = shutil.which("slapd", path=f"/usr/sbin:{os.environ.get('PATH', '')}")
    if program is None:
        reason = "the directory's tests need slapd: make servers"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="factotum-slapd-") as made:
        folder = Path(made)
        (folder / "data").mkdir()
        names = {"folder": folder, "base": BASE, "admin": ADMIN, "reader": READER, "password": PASSWORD}
        configuration, entries = folder / "slapd.conf", folder / "entries.ldif"
        configuration.write_text(_CONFIGURATION.format(**names))
        entries.write_text(_ENTRIES.format(**names))
        _certificate(folder)
        subprocess.run(
            [program, "-T", "add", "-f", configuration, "-b", "dc=example", "-l", entries],
            check=True,
            capture_output=True,
        )
        server = Slapd(free_port(), free_port(), folder / "cert.pem")
        addresses = f"ldap://127.0.0.1:{server.port} ldaps://127.0.0.1:{server.tls_port}"
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "-f", configuration, "-h", addresses, "-d", "0"], stdout=log, stderr=log
            )
        try:
            _wait(process, server.tls_port, folder)
            yield server
        finally:
            process.terminate()
            process.wait(10)


def _certificate(folder: Path) -> None:
    """Of localhost, signed by itself."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", folder / "key.pem"]
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    command = ["openssl", "req", "-x509", *key, *name, "-out", folder / "cert.pem"]
    subprocess.run(command, check=True, capture_output=True)


def _wait(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"slapd did not start: {(folder / 'log').read_text()}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
