"""What a `.proto` file describes, compiled by protoc in a process of its own.

protoc parses what somebody else wrote: there it can neither block this process nor take it down, and its
complaints are what the author of the file reads.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import OrderedDict
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from factotum.sdk.errors import Failed, InvalidArgument

_COMPILE_SECONDS = 20.0
_KEPT = 64
_WORDS_LIMIT = 500
_MAIN = "main.proto"


@dataclass(frozen=True, slots=True)
class Proto:
    """A proto file: a text that imports nothing but the well-known types, or a file below a folder that holds
    what it imports.

    Attributes:
        name: its path below the folder, or its address; what protoc's complaints call it.
    """

    name: str
    source: bytes | Path


class Schema:
    """The services of one proto file and of what it imports."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self.pool = DescriptorPool()
        self._services: list[str] = []
        # protoc writes what is imported before what imports it.
        for file in files.file:
            self.pool.AddSerializedFile(file.SerializeToString())
            prefix = f"{file.package}." if file.package else ""
            self._services += [prefix + service.name for service in file.service]

    def method(self, service: str, method: str) -> MethodDescriptor:
        """The method of a service, which is named in full, or without its package where only one is meant.

        Raises `InvalidArgument` naming what there is.
        """
        named = [name for name in self._services if name == service]
        named = named or [name for name in self._services if name.endswith(f".{service}")]
        if len(named) != 1:
            raise InvalidArgument(f"the proto describes {_listed(self._services)}, not one service {service!r}")
        found: ServiceDescriptor = self.pool.FindServiceByName(named[0])
        if method not in found.methods_by_name:
            raise InvalidArgument(f"{named[0]} has {_listed(list(found.methods_by_name))}, no method {method!r}")
        return found.methods_by_name[method]


class Compiler:
    """Keeps what it compiled last, by text; a file with imports of its own is compiled each time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Schema] = OrderedDict()

    async def schema(self, proto: Proto) -> Schema:
        """Raises `InvalidArgument` with protoc's words."""
        if isinstance(proto.source, Path):
            return await _compiled(proto.name, proto.source, proto.name)
        key = hashlib.sha256(proto.source).hexdigest()
        if key not in self._kept:
            with TemporaryDirectory(prefix="factotum-proto-") as folder:
                (Path(folder) / _MAIN).write_bytes(proto.source)
                self._kept[key] = await _compiled(proto.name, Path(folder), _MAIN)
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


async def _compiled(name: str, folder: Path, file: str) -> Schema:
    with (
        TemporaryDirectory(prefix="factotum-descriptors-") as made,
        resources.as_file(resources.files("grpc_tools") / "_proto") as well_known,
    ):
        out = Path(made) / "set"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "grpc_tools.protoc"),
            *(f"-I{folder}", f"-I{well_known}", f"--descriptor_set_out={out}", "--include_imports", file),
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            async with asyncio.timeout(_COMPILE_SECONDS):
                _, words = await process.communicate()
        except TimeoutError as error:
            raise Failed(f"{name} was not compiled within {_COMPILE_SECONDS:g} s", effect_possible=False) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            said = words.decode(errors="replace").replace(f"{folder}/", "").replace(_MAIN, name).strip()
            raise InvalidArgument(f"protoc does not compile {name}: {said[:_WORDS_LIMIT]}")
        return Schema(FileDescriptorSet.FromString(out.read_bytes()))


def _listed(names: list[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
