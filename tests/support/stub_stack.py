"""The supervisor over stub parts: `python -m tests.support.stub_stack DIRECTORY`, parts in DIRECTORY/parts.json."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import SystemRandom

from factotum.dev import main, ports
from factotum.dev.part import Part

ROOT = Path(__file__).parents[2]
STUB = Path(__file__).with_name("stub_part.py")


def stub(name: str, *options: str, needs: Sequence[str] = (), **other: object) -> Part:
    """A stub part with a port; `options` as stub_part.py has them."""
    declared: dict[str, object] = {
        "command": ("{python}", str(STUB), name, "{data}", "--port", f"{{{name}.http.port}}", *options),
        "ports": {"http": 18080},
        "addresses": {"http": f"http://{{{name}.http}}"},
        "probe": f"http://{{{name}.http}}/",
        "note": "a stub",
        "needs": tuple(needs),
        "stop_seconds": 3.0,
    }
    return Part(name, **{**declared, **other})  # type: ignore[arg-type]


def moving(name: str) -> Part:
    """A stub part that chooses another port at every start and tells it."""
    return Part(
        name,
        command=("{python}", str(STUB), name, "{data}", "--publish", "{data}/run/" + name),
        publishes=f"run/{name}",
        addresses={"http": f"http://{{{name}}}"},
        probe=f"http://{{{name}}}/",
        note="a stub that keeps nothing",
        volatile=True,
        stop_seconds=3.0,
    )


def command(directory: Path, parts: Sequence[Part]) -> list[str]:
    """The command of a supervisor over these parts; run it in ROOT."""
    (directory / "parts.json").write_text(json.dumps([asdict(part) for part in parts]))
    return [sys.executable, "-m", "tests.support.stub_stack", str(directory)]


def run(directory: Path) -> int:
    parts = [Part(**declared) for declared in json.loads((directory / "parts.json").read_text())]
    with main.lock(directory):
        take = ports.Reservations(ports.shared_directory()).take
        usual = {part.name: part.ports for part in parts}
        chosen = ports.choose(usual, main.remembered_ports(directory), take, SystemRandom())
        return main.run(parts, directory, "embedded", chosen, os.environ, well_seconds=60.0)


if __name__ == "__main__":
    try:
        sys.exit(run(Path(sys.argv[1])))
    except main.AlreadyRuns as error:
        sys.exit(str(error))
