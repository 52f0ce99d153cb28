"""Secrets are named in documents and settings and resolved only in the process that uses them."""

from __future__ import annotations

import re
from pathlib import Path

SCHEME = "secret://"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class UnknownSecret(LookupError):
    """The tenant has no such secret. The message names it and says where it was looked for."""


class SecretDirectory:
    """One file a secret, `<directory>/<tenant>/<name>`: the shape in which Kubernetes mounts them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def resolve(self, tenant: str, reference: str) -> str:
        """The value behind `secret://name`, without the trailing newline. Raises `UnknownSecret`."""
        name = reference.removeprefix(SCHEME)
        if not reference.startswith(SCHEME) or not _NAME.fullmatch(name) or not _NAME.fullmatch(tenant):
            raise UnknownSecret(f"{reference!r} is not of the form secret://name")
        path = self._directory / tenant / name
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n")
        except OSError as error:
            raise UnknownSecret(f"tenant {tenant} has no secret {name!r}: put its value into {path}") from error
