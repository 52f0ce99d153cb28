"""What is said of one process of the local stack, and how its blanks are filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

HOST = "127.0.0.1"

_BLANK = re.compile(r"\{([a-z0-9.-]+)\}")


@dataclass(frozen=True)
class Part:
    """A process, declared. Texts may have blanks, `{name}`, which `values` and `fill` know how to fill.

    Args:
        command: argument vector.
        probe: what must answer before it counts as healthy, see `factotum.dev.probes`.
        note: what a person should know of it; above all, what it keeps.
        ports: purpose -> the port it usually has.
        addresses: purpose -> where others reach it; the main one first.
        needs: parts that must be healthy before it is started.
        environment: what the stack decides, whatever its own environment says.
        defaults: what the stack's own environment may decide otherwise.
        publishes: a part whose address only it can choose writes it, `host:port`, into this file.
        volatile: it keeps nothing when it stops, and the supervisor says so when it starts it.
        start_seconds: how long it may take to answer its probe.
        stop_seconds: how long it may take to end when it is asked to; then it is killed.
    """

    name: str
    command: tuple[str, ...]
    probe: str
    note: str
    ports: Mapping[str, int] = field(default_factory=dict)
    addresses: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    publishes: str = ""
    volatile: bool = False
    start_seconds: float = 120.0
    # Longer than the eight seconds that a service gives itself, see factotum.runtime.lifespan.
    stop_seconds: float = 12.0


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its blanks filled. Raises `KeyError` with the name of a blank that has no value."""
    return _BLANK.sub(lambda blank: values[blank[1]], text)


def port_values(ports: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """The values of all ports: `{planner.grpc}` is its address, `{planner.grpc.port}` its number alone."""
    values = {}
    for part, numbers in ports.items():
        for purpose, number in numbers.items():
            values[f"{part}.{purpose}"] = f"{HOST}:{number}"
            values[f"{part}.{purpose}.port"] = str(number)
    return values
