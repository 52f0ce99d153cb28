"""Containers, on a real runtime where one answers, and on one of plain processes everywhere."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from factotum.connectors.process import containers, tools
from factotum.connectors.process.settings import ProcessSettings
from factotum.sdk.errors import Ambiguous, Cancelled, Conflict, Failed, NotPermitted, ToolError, Unavailable
from tests.support.tool_calls import NOW, tool_context

IMAGE = "localhost/factotum-test:1"
RUNTIME = Path(__file__).parents[2] / "support" / "container_runtime.py"
SETTINGS = ProcessSettings(container=True, images=[IMAGE])


@dataclass
class Runtime:
    """`asked` is None on a real one. Every key is of this test alone."""

    folder: Path
    asked: Path | None

    async def run(self, key: str = "k", settings: ProcessSettings = SETTINGS, **arguments: Any) -> Any:
        return (await tools.container.function(*self._given(key, settings, arguments))).root

    async def find(self, key: str = "k", settings: ProcessSettings = SETTINGS, **arguments: Any) -> Any:
        found = await tools.find_container(*self._given(key, settings, arguments))
        return found and found.root

    def _given(self, key: str, settings: ProcessSettings, arguments: dict[str, Any]) -> Any:
        context = tool_context(settings, key=f"{self.folder} {key}", started_at=arguments.pop("began", NOW))
        return tools.container.arguments.model_validate({"image": IMAGE, **arguments}), context


def _import_image(runtime: str, busybox: str) -> None:
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as archive:
        archive.add(busybox, "bin/busybox")
        for name in ("sh", "cat", "echo", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    subprocess.run([runtime, "import", "-", IMAGE], input=image.getvalue(), check=True, capture_output=True)


@pytest_asyncio.fixture(params=["of processes", "real"])
async def runtime(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    if request.param == "real":
        try:
            command = await containers._runtime()
        except ToolError as error:
            pytest.skip(error.message)
        if (busybox := shutil.which("busybox")) is None:
            pytest.skip("an image is made of busybox, which is not on PATH")
        await asyncio.to_thread(_import_image, command, busybox)
        yield Runtime(tmp_path, None)
        label = f"label={containers._EFFECT}"
        left = subprocess.run([command, "ps", "-aq", "--filter", label], capture_output=True, text=True, check=True)
        for name in left.stdout.split():
            subprocess.run([command, "rm", "-f", name], check=True, capture_output=True)
        return
    programs, state = tmp_path / "bin", tmp_path / "containers"
    programs.mkdir()
    state.mkdir()
    (programs / "docker").write_text("#!/bin/sh\necho 'no server' >&2\nexit 1\n")
    (programs / "podman").write_text(f'#!/bin/sh\nexec {sys.executable} -IS {RUNTIME} {state} "$@"\n')
    for path in programs.iterdir():
        path.chmod(0o755)
    monkeypatch.setattr(containers, "SEARCH", str(programs))
    monkeypatch.setattr(containers, "_environment", lambda: {"PATH": "/usr/bin:/bin"})
    yield Runtime(tmp_path, state / "asked")


async def until_running(runtime: Runtime, **arguments: Any) -> None:
    reaching = SETTINGS.model_copy(update={"network": True})
    async with asyncio.timeout(10):
        while True:
            try:
                await runtime.find(settings=reaching, **arguments)
            except Unavailable:
                return
            await asyncio.sleep(0.05)


async def test_what_is_given_arrives_and_the_answer_is_found_again(runtime: Runtime) -> None:
    given = {
        "command": 'input=$(cat); echo "$input $1 $2 $X"',
        "stdin": "in",
        "arguments": ["Foo", "Bar"],
        "environment": {"X": "a b"},
    }
    assert await runtime.find(**given) is None
    assert await runtime.run(**given) == "in Foo Bar a b\n"
    assert await runtime.find(**given) == "in Foo Bar a b\n"
    assert await runtime.find("another", **given) is None
    assert await runtime.run("always", arguments=["/bin/echo", "x"], lifetime={"cleanup": "always"}) == "x\n"
    assert await runtime.find("always", arguments=["/bin/echo", "x"], lifetime={"cleanup": "always"}) is None


async def test_a_container_that_failed_says_so_and_may_run_anew(runtime: Runtime) -> None:
    failing = {"command": "echo bad >&2; exit 3"}
    for _ in range(2):
        with pytest.raises(Failed, match="ended with code 3: bad") as failed:
            await runtime.run(**failing)
        assert not failed.value.effect_possible
    assert await runtime.find(**failing) is None
    assert await runtime.find(**failing, **{"return": "code"}) == 3


async def test_a_cancelled_container_is_stopped(runtime: Runtime) -> None:
    hanging = {"command": "sleep 60"}
    call = asyncio.ensure_future(runtime.run(**hanging))
    await until_running(runtime, **hanging)
    call.cancel()
    with pytest.raises(Cancelled) as cancelled:
        await call
    assert not cancelled.value.effect_possible
    assert await runtime.find(**hanging) is None
    with pytest.raises(Ambiguous, match="137"):  # had it been able to reach anything
        await runtime.find(settings=SETTINGS.model_copy(update={"network": True}), **hanging)


async def test_the_time_limit(runtime: Runtime) -> None:
    with pytest.raises(Failed, match=r"did not end within 0\.7 s") as failed:
        await runtime.run(settings=SETTINGS.model_copy(update={"container_seconds": 0.7}), command="sleep 60")
    assert not failed.value.effect_possible


async def test_what_a_killed_executor_left_running(runtime: Runtime) -> None:
    if runtime.asked is None:
        pytest.skip("the runtime of processes is enough")
    hanging = {"command": "sleep 60"}
    call = asyncio.ensure_future(runtime.run(**hanging))
    await until_running(runtime, **hanging)
    reaching = SETTINGS.model_copy(update={"network": True})
    with pytest.raises(Unavailable, match="still runs"):
        await runtime.find(settings=reaching, **hanging)
    with pytest.raises(Ambiguous, match="its time was up"):
        await runtime.find(settings=reaching, began=NOW - timedelta(hours=1), **hanging)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)


async def test_a_container_is_removed_when_its_time_is_over(runtime: Runtime) -> None:
    if runtime.asked is None:
        pytest.skip("the runtime of processes is enough")
    later = {"command": "echo x", "lifetime": {"cleanup": "eventually", "after": {"minutes": 30}}}
    assert await runtime.run(**later) == "x\n"
    await runtime.run("next", command="echo y")
    assert await runtime.find(**later) == "x\n"
    for state in runtime.asked.parent.glob("*/state"):
        container = json.loads(state.read_text())
        if "factotum.remove-after" in container["labels"]:
            container["labels"]["factotum.remove-after"] = "1"
            state.write_text(json.dumps(container))
    await runtime.run("last", command="echo z")
    assert await runtime.find(**later) is None


async def test_what_the_tenant_may_not_do(runtime: Runtime) -> None:
    for forbidden in ({"image": "alpine"}, {"volumes": {"/": "/host"}}, {"ports": {"80": 80}}):
        with pytest.raises(NotPermitted, match=r"process\.(images|volumes|network)"):
            await runtime.run(**forbidden)
    if runtime.asked is None:
        return
    assert not runtime.asked.exists()
    await runtime.run(command="echo", environment={"TOKEN": "hunter2"})
    asked = runtime.asked.read_text()
    assert "hunter2" not in asked
    for bound in ("--network=none", "--cap-drop=ALL", "--memory=512m", "--pids-limit=64", '"--pull", "missing"'):
        assert bound in asked
    with pytest.raises(Conflict):
        await runtime.run("one", command="echo", name="taken")
        await runtime.run("two", command="echo", name="taken")


async def test_without_a_runtime_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(containers, "SEARCH", str(tmp_path))
    with pytest.raises(Failed, match="docker and podman are missing") as missing:
        await Runtime(tmp_path, None).run(command="echo")
    assert not missing.value.effect_possible
    with pytest.raises(Unavailable, match="missing"):
        await Runtime(tmp_path, None).find(command="echo")
