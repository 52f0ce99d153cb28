"""From the options of `factotum tools add` to a source's configuration. Reads files, asks nobody."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from factotum.cli.errors import BadInput
from factotum.runtime.secrets.names import SCHEME

Json = dict[str, Any]


def given(text: str, option: str) -> Json:
    """A configuration written out, or @ and the file that it is in: JSON or YAML. Raises `BadInput`."""
    if text.startswith("@"):
        text = read(Path(text[1:]), option).decode("utf-8", "replace")
    try:
        value = yaml.safe_load(text) if text else {}
    except yaml.YAMLError as error:
        raise BadInput(f"{option} is neither JSON nor YAML: {_line(error)}") from error
    if not isinstance(value, dict):
        raise BadInput(f"{option} must be an object: names with values")
    return value


def read(path: Path, option: str) -> bytes:
    """Raises `BadInput`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{option}: {path} cannot be read: {error.strerror}") from error


def text_of(config: Json) -> str:
    """Raises `BadInput` for what YAML can hold and JSON cannot, such as a date."""
    try:
        return json.dumps(config, ensure_ascii=False)
    except TypeError as error:
        raise BadInput(f"the configuration holds what JSON has not ({error}): put it in quotes") from error


def openapi(
    config: Json,
    *,
    document: str,
    base_url: str,
    reach: Sequence[str],
    allow: Sequence[str],
    without: Sequence[str],
    auth: Sequence[str],
    bearer: str,
) -> tuple[Json, bytes]:
    """The configuration, and the document if it is a file. Raises `BadInput`."""
    body = b""
    if "://" in document:
        config = {**config, "document": document}
    elif document:
        body = read(Path(document), "--document")
    elif not config.get("document"):
        raise BadInput("give --document: a file, or an address")
    made = _with(config, base_url=base_url)
    made = _extended(made, operations=allow, without=without, allow=reach)
    if not made.get("operations"):
        raise BadInput("say with --allow which operations are taken, e.g. --allow 'issues/*' --allow 'GET /repos/**'")
    credentials = dict(made.get("auth", {})) | {name: _credential(value) for name, value in _pairs(auth, "--auth")}
    if bearer:
        credentials["bearer"] = {"kind": "bearer", "token": _reference(bearer, "--bearer")}
    return _with(made, auth=credentials), body


def mcp(
    config: Json,
    *,
    url: str,
    command: str,
    environment: Sequence[str],
    unsandboxed: bool,
    allow: Sequence[str],
    reads: Sequence[str],
    bearer: str,
) -> Json:
    """Raises `BadInput`."""
    made = dict(config)
    if url and command:
        raise BadInput("give either --url or --command")
    if url:
        made["http"] = dict(made.get("http", {})) | {"url": url}
    if bearer:
        if "http" not in made:
            raise BadInput("--bearer goes with --url")
        token = _reference(bearer, "--bearer")
        made["http"] = dict(made["http"]) | {"authentication": {"bearer": {"token": token}}}
    if command:
        made["stdio"] = dict(made.get("stdio", {})) | {"command": _words(command)}
    if environment or unsandboxed:
        if "stdio" not in made:
            raise BadInput("--env and --unsandboxed go with --command")
        pairs = dict(_pairs(environment, "--env"))
        stdio = dict(made["stdio"])
        stdio["environment"] = dict(stdio.get("environment", {})) | pairs
        made["stdio"] = _with(stdio, unsandboxed=unsandboxed)
    if "http" not in made and "stdio" not in made:
        raise BadInput("give --url of a server, or --command that starts one")
    if "*" in allow:
        made["tools"] = "*"
    else:
        made = _extended(made, tools=[*allow, *(name for name in reads if name not in allow)])
    made = _extended(made, reads=reads)
    if not made.get("tools"):
        raise BadInput("say with --allow which tools are taken, or --allow '*'")
    return made


def grpc(
    config: Json,
    *,
    address: str,
    allow: Sequence[str],
    reads: Sequence[str],
    metadata: Sequence[str],
    bearer: str,
    ca_file: str,
    descriptors: str,
) -> tuple[Json, bytes]:
    """The configuration, and the descriptors if they are given. Raises `BadInput`."""
    certificates = read(Path(ca_file), "--ca-file").decode("utf-8", "replace") if ca_file else ""
    made = _with(config, address=address, certificates=certificates)
    document = read(Path(descriptors), "--descriptors") if descriptors else b""
    if not made.get("address"):
        raise BadInput("give --address: grpcs://host:port, or grpc://host:port without TLS")
    methods: dict[str, Json] = {name: {} for name in allow} | {name: {"effect": "none"} for name in reads}
    made = _with(made, methods={**made.get("methods", {}), **methods})
    if not made.get("methods"):
        raise BadInput("say with --allow and --reads which methods are taken, e.g. --reads 'library.v1.Library/Find*'")
    sent = dict(_pairs(metadata, "--metadata"))
    if bearer:
        made["bearer"] = _reference(bearer, "--bearer")
    return _with(made, metadata={**made.get("metadata", {}), **sent}), document


def _with(config: Json, **values: Any) -> Json:
    """Those that say something, in place of what is there."""
    return {**config, **{name: value for name, value in values.items() if value}}


def _extended(config: Json, **lists: Sequence[str]) -> Json:
    return _with(config, **{name: [*config.get(name, []), *more] for name, more in lists.items() if more})


def _pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [text for text, (name, found, _) in zip(texts, pairs, strict=True) if not (name and found)]:
        # Not the text: it may be a secret that somebody wrote out.
        raise BadInput(f"{option} is NAME=VALUE; {len(wrong)} of {len(texts)} are not")
    return [(name, value) for name, _, value in pairs]


def _credential(value: str) -> Json:
    """`secret://token`, or `user:secret://password`."""
    user, found, rest = value.partition(f":{SCHEME}")
    if value.startswith(SCHEME):
        return {"token": value}
    if found:
        return {"username": user, "password": SCHEME + rest}
    raise BadInput(
        f"--auth is SCHEME={SCHEME}NAME or SCHEME=USER:{SCHEME}NAME: the value of a secret is not given here"
    )


def _reference(text: str, option: str) -> str:
    if not text.startswith(SCHEME):
        raise BadInput(f"{option} is {SCHEME}NAME: the value of a secret is not given here")
    return text


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise BadInput(f"--command: {error}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
