"""A container runtime for machines without one: the commands that the connector gives, over plain processes.

`python container_runtime.py FOLDER create …`; a container is a folder, the image is never looked at. What was
asked for is in FOLDER/asked, one JSON list a line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLLOWED_BY_VALUE = {"--name", "--label", "--pull", "--env-file", "--entrypoint", "--publish", "--volume"}


class Container:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.folder / "state").read_text())

    def note(self, **changes: Any) -> None:
        before = self.state if (self.folder / "state").exists() else {}
        (self.folder / "state").write_text(json.dumps(before | changes))


def create(root: Path, arguments: list[str]) -> None:
    values: dict[str, list[str]] = {}
    rest = iter(arguments)
    for argument in rest:
        if argument in FOLLOWED_BY_VALUE:
            values.setdefault(argument, []).append(next(rest))
        elif not argument.startswith("-"):
            break
    command = [*values.get("--entrypoint", []), *rest]
    lines = Path(values["--env-file"][0]).read_text().splitlines()
    container = Container(root / values["--name"][0])
    if container.folder.exists():
        sys.exit(f"the container name {container.folder.name} is already in use")
    container.folder.mkdir()
    labels = dict(label.partition("=")[::2] for label in values["--label"])
    environment = dict(line.partition("=")[::2] for line in lines)
    container.note(status="created", code=0, labels=labels, command=command, environment=environment)


def start(container: Container) -> None:
    state = container.state
    process = subprocess.Popen(
        state["command"],
        env=state["environment"],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    container.note(status="running", pid=process.pid)
    out, err = process.communicate()
    (container.folder / "out").write_bytes(out)
    (container.folder / "err").write_bytes(err)
    code = process.returncode
    container.note(status="exited", code=code if code >= 0 else 128 - code)
    show(container)
    sys.exit(container.state["code"])


def show(container: Container) -> None:
    sys.stdout.buffer.write((container.folder / "out").read_bytes())
    sys.stderr.buffer.write((container.folder / "err").read_bytes())


def kill(container: Container) -> None:
    with suppress(ProcessLookupError):
        os.killpg(container.state["pid"], signal.SIGKILL)
    container.note(status="exited", code=137)
    for name in ("out", "err"):
        (container.folder / name).touch()


def listed(root: Path, filters: list[str]) -> list[str]:
    found = []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        state = Container(folder).state
        shown = {"status": state["status"], **{f"label:{name}": value for name, value in state["labels"].items()}}
        wanted = [one.split("=") for one in filters if one != "--filter"]
        if all(
            shown.get(f"label:{w[1]}") == w[2]
            if len(w) == 3
            else shown.get(f"label:{w[1]}" if w[0] == "label" else w[0]) is not None
            for w in wanted
        ):
            found.append(folder.name)
    return found


def main(root: Path, command: str, *arguments: str) -> None:
    with (root / "asked").open("a") as asked:
        asked.write(json.dumps([command, *arguments]) + "\n")
    container = Container(root / arguments[-1]) if arguments else None
    match command:
        case "create":
            create(root, list(arguments))
        case "ps":
            print("\n".join(listed(root, list(arguments[2:]))))
        case "start" if container:
            start(container)
        case "kill" if container:
            kill(container)
        case "logs" if container:
            show(container)
        case "rm" if container:
            if container.state["status"] == "running":
                if arguments[0] != "--force":
                    sys.exit("it runs")
                kill(container)
            for path in container.folder.iterdir():
                path.unlink()
            container.folder.rmdir()
        case "inspect" if container:
            state = container.state
            label = state["labels"].get("factotum.remove-after", "")
            print(label if "Labels" in arguments[1] else f"{state['status']} {state['code']}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
