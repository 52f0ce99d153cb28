"""Commands in a real sandbox: what they get, what they cannot reach, and how they are stopped."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from factotum.connectors.process import tools
from factotum.connectors.process.arguments import ProcessResult
from factotum.connectors.process.settings import ProcessSettings
from factotum.sdk.errors import Cancelled, Failed, InvalidArgument, NotPermitted
from factotum.sdk.sandbox import Limits
from factotum.tool_executor.calls import Origin
from factotum.tool_executor.ledger_sqlite import SqliteLedger
from factotum.tool_executor.sandbox.bubblewrap import Bubblewrap
from tests.support.composition import catalog_of, executor_of
from tests.support.machine import needs, running
from tests.support.scripted_http import Answer, scripted_http
from tests.support.tool_calls import tool_context

ALLOWED = ProcessSettings.model_validate({"shell": True, "script": True})


@pytest.fixture(autouse=True)
def _sandbox() -> None:
    needs("bwrap", "prlimit", "setpriv", what="running a command in a sandbox")


async def run(tool: Any, settings: ProcessSettings = ALLOWED, **arguments: Any) -> Any:
    output = await tool.function(tool.arguments.model_validate(arguments), tool_context(settings))
    return tool.output.model_validate_json(output.model_dump_json()).root


async def shell(command: str, settings: ProcessSettings = ALLOWED, **arguments: Any) -> Any:
    return await run(tools.shell, settings, command=command, **arguments)


async def python(code: str, settings: ProcessSettings = ALLOWED, **arguments: Any) -> Any:
    return await run(tools.script, settings, language="python", code=code, **arguments)


def limited(**limits: Any) -> ProcessSettings:
    return ALLOWED.model_copy(update={"limits": Limits(**limits)})


async def test_stdin_arguments_and_environment_arrive() -> None:
    command = 'cat; echo "; $1 $2; $WHO"'
    answer = await shell(command, stdin="in", arguments=["Foo", {"a": 1}], environment={"WHO": "a b\n", "N": 1})
    assert answer == 'in; Foo {"a":1}; a b\n\n'


@pytest.mark.parametrize("tool", [tools.shell, tools.script])
async def test_the_examples_answer_what_they_say(tool: Any) -> None:
    (example,) = tool.spec.examples
    assert await run(tool, **example.arguments) == ProcessResult.model_validate(example.output)


async def test_the_environment_is_empty_but_for_what_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTOTUM_TOKEN", "hunter2")
    lines = (await shell("env", environment={"GIVEN": "x"})).splitlines()
    assert {line.partition("=")[0] for line in lines} == {"GIVEN", "HOME", "LANG", "PATH", "PWD"}


async def test_the_command_is_not_on_the_command_line() -> None:
    hung = asyncio.ensure_future(shell("sleep 5 # w0rd-of-the-text", environment={"X": "w0rd-of-env"}))
    while not running("sleep 5"):
        await asyncio.sleep(0.02)
    assert not running("w0rd-of")
    hung.cancel()
    with pytest.raises(Cancelled):
        await hung


@pytest.mark.parametrize(
    ("wanted", "answer"),
    [
        ("stdout", "out\n"),
        ("stderr", "err\n"),
        ("code", 0),
        ("none", None),
        ("all", ProcessResult(code=0, stdout="out\n", stderr="err\n")),
    ],
)
async def test_what_is_returned(wanted: str, answer: Any) -> None:
    assert await shell("echo out; echo err >&2", **{"return": wanted}) == answer


async def test_a_code_is_data_where_it_is_asked_for_and_else_a_failure() -> None:
    assert await shell("exit 3", **{"return": "code"}) == 3
    assert (await shell("echo x; exit 3", **{"return": "all"})).code == 3
    for wanted in ("stdout", "stderr", "none"):
        with pytest.raises(Failed, match="ended with code 3: no such thing") as failed:
            await shell("echo no such thing >&2; exit 3", **{"return": wanted})
        assert not failed.value.effect_possible


async def test_scripts_in_python() -> None:
    assert (
        await python("import sys\nprint(sys.argv[1:], sys.stdin.read())", stdin="in", arguments=["a"]) == "['a'] in\n"
    )
    code = "print(who, n + 1, __name__)"
    assert await python(code, arguments={"who": "Ada", "n": 2}) == "Ada 3 __main__\n"
    with pytest.raises(Failed, match="line 2"):
        await python("\nfail", arguments={"who": 1})


async def test_scripts_in_javascript_are_modules() -> None:
    needs("node", what="running a script in JavaScript")
    code = """
        import { readFileSync } from 'node:fs';
        const [_, __, given] = process.argv;
        console.log(readFileSync(process.stdin.fd, 'utf8'), given, process.env.foo)
    """
    given = {"stdin": "in", "arguments": ["a"], "environment": {"foo": "bar"}}
    assert await run(tools.script, language="javascript", code=code, **given) == "in a bar\n"
    code = "console.log(who, n + 1)"
    assert await run(tools.script, language="js", code=code, arguments={"who": "Ada", "n": 2}) == "Ada 3\n"


async def test_a_script_is_fetched_from_an_allowed_origin_only() -> None:
    async with scripted_http(Answer(body=b"print('fetched')")) as server:
        source = {"endpoint": {"uri": f"{server.url}/x.py"}}
        with pytest.raises(NotPermitted):
            await run(tools.script, language="python", source=source)
        allowed = ProcessSettings(script=True, allow=[server.url])
        assert await run(tools.script, allowed, language="python", source=source) == "fetched\n"
    for neither in ({}, {"code": "1", "source": source}):
        with pytest.raises(InvalidArgument):
            await run(tools.script, language="python", **neither)


async def test_nothing_is_allowed_that_is_not_set() -> None:
    for tool, arguments in (
        (tools.shell, {"command": "true"}),
        (tools.script, {"language": "python", "code": "1"}),
        (tools.container, {"image": "alpine"}),
    ):
        with pytest.raises(NotPermitted, match=r"process\.\w+: true"):
            await run(tool, ProcessSettings(), **arguments)


async def test_there_is_no_network() -> None:
    async with scripted_http(Answer(body=b"x")) as server:
        code = f"import urllib.request\nurllib.request.urlopen('{server.url}', timeout=2)"
        with pytest.raises(Failed, match="URLError"):
            await python(code)
        assert server.requests == []
    interfaces = await python("import socket; print([name for _, name in socket.if_nameindex()])")
    assert interfaces == "['lo']\n"


async def test_nothing_of_the_machine_can_be_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hunter2")
    for place in (
        tmp_path / "secret",
        Path(__file__),
        "/etc/passwd",
        "/etc/shadow",
        "/root",
        "/home",
    ):
        with pytest.raises(Failed, match=r"No such file|Permission denied"):
            await shell(f"cat '{place}' || ls '{place}'")
    assert await shell("ls -A /tmp; pwd; cat /proc/1/environ") == "/tmp\n"  # noqa: S108
    for place in ("/x", "/usr/x", "/dev/x", "/run/factotum/command"):
        with pytest.raises(Failed, match=r"Read-only|Permission denied"):
            await shell(f"echo > {place}")
    assert await shell("echo kept > x; cat x") == "kept\n"
    assert await shell("ls") == ""


async def test_it_is_nobody_without_capabilities_and_sees_no_other_process() -> None:
    status = await shell("id -u; cat /proc/self/status; ls /proc | grep -c '^[0-9]'")
    assert status.startswith("65534\n") and "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    assert int(status.splitlines()[-1]) < 10
    with pytest.raises(Failed, match="unshare failed"):
        await shell("unshare --user true")


async def test_the_time_limit_ends_the_whole_tree() -> None:
    started = time.monotonic()
    with pytest.raises(Failed, match=r"did not end within 0\.5 s"):
        await shell("sleep 71 & (setsid sleep 72 &) ; exec sleep 73", limited(seconds=0.5))
    assert time.monotonic() - started < 2
    assert not running("sleep 7")


async def test_a_cancel_ends_the_whole_tree_and_leaves_no_doubt() -> None:
    call = asyncio.ensure_future(shell("sleep 74 & (setsid sleep 75 &) ; exec sleep 76"))
    while not running("sleep 76"):
        await asyncio.sleep(0.02)
    call.cancel()
    with pytest.raises(Cancelled) as cancelled:
        await call
    assert not cancelled.value.effect_possible
    assert not running("sleep 7")


async def test_a_process_of_the_sandbox_that_outlives_its_command_ends_with_it() -> None:
    assert await shell("(setsid sleep 77 >/dev/null 2>&1 &); echo done") == "done\n"
    assert not running("sleep 77")


async def test_a_fork_bomb_is_stopped() -> None:
    before = time.monotonic()
    with pytest.raises(Failed, match="Cannot fork"):
        await shell("bomb() { bomb | bomb & }; bomb; sleep 78", limited(seconds=1, processes=16))
    assert time.monotonic() - before < 3
    assert not running("/run/factotum/command")


@pytest.mark.parametrize(
    "code",
    [
        "held = []\nwhile True: held.append(b'x' * 1_000_000)",
        "import os, time\nfor _ in range(8):\n    if os.fork() == 0: held = b'x' * 20_000_000; break\ntime.sleep(60)",
    ],
    ids=["one process", "several"],
)
async def test_a_memory_hog_is_stopped(code: str) -> None:
    with pytest.raises(Failed, match="held more than 64 MiB"):
        await python(code, limited(seconds=10, memory_mib=64))


async def test_processor_and_files_are_bounded() -> None:
    with pytest.raises(Failed, match="used more than 1 s of the processor"):
        await shell("while :; do :; done", limited(seconds=10, cpu_seconds=1))
    with pytest.raises(Failed, match=r"File too large|code 153"):
        await shell("cat /dev/zero > x", limited(file_mib=1))
    with pytest.raises(Failed, match="No space left"):
        await shell("for i in 1 2 3; do head -c 1000000 /dev/zero > $i || exit 1; done", limited(file_mib=1))


async def test_output_is_bounded() -> None:
    small = limited(output_kib=1)
    assert len(await shell("head -c 1024 /dev/zero | tr '\\0' x", small)) == 1024
    with pytest.raises(Failed, match="wrote more than it may"):
        await shell("head -c 1025 /dev/zero | tr '\\0' x", small)
    with pytest.raises(Failed, match="wrote more than it may"):
        await shell("cat /dev/zero", small)
    assert await shell(r"printf '\377'") == "\ufffd"


async def test_what_is_too_long_for_a_program_is_refused() -> None:
    for given in ({"arguments": ["x" * 131_072]}, {"environment": {"A": "x" * 131_072}}):
        with pytest.raises(InvalidArgument, match="give it as stdin"):
            await shell("true", **given)
    assert await shell("# " + "x" * 1_000_000 + "\necho done") == "done\n"


async def test_input_that_nobody_reads() -> None:
    assert await shell("echo done", stdin="x" * 1_000_000) == "done\n"


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": "true", "environment": {"LD_PRELOAD": "/x.so"}},
        {"command": "true", "environment": {"A=B": "x"}},
        {"command": "true", "environment": {"A": "x\0--bind\0/\0/"}},
        {"command": "true", "arguments": ["x\0y"]},
        {"command": "true", "arguments": {"a-b": 1}},
        {"command": ""},
        {"command": "true", "return": "everything"},
    ],
)
def test_arguments_that_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        tools.shell.arguments.model_validate(arguments)


async def test_no_secret_can_hold_an_option_of_the_sandbox() -> None:
    arguments = tools.shell.arguments.model_validate({"command": "ls /work", "environment": {"A": "x"}})
    arguments.environment["A"] = "x\0--bind\0/\0/"
    with pytest.raises(InvalidArgument, match="NUL"):
        await tools.shell.function(arguments, tool_context(ALLOWED))


async def test_cancelled_by_the_executor(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.sqlite", ambiguous_retry_seconds=1) as ledger:
        catalog = catalog_of(tools.connector, settings={("acme", "process"): ALLOWED})
        executor = executor_of(catalog, ledger, secrets=tmp_path)
        text = '{"command": "sleep 79 & exec sleep 79"}'
        call = asyncio.ensure_future(
            executor.execute(tenant="acme", tool="process.shell", arguments_json=text, key="k", origin=Origin())
        )
        while len(running("sleep 79")) < 2:
            await asyncio.sleep(0.02)
        assert executor.cancel("acme", "k")
        answer = await call
        assert isinstance(answer.error, Cancelled) and not answer.effect_possible
        assert not running("sleep 79")


async def test_without_a_sandbox_nothing_runs(tmp_path: Path) -> None:
    for name in ("prlimit", "setpriv", "sh", "python3"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}")
    context = replace(tool_context(ALLOWED), sandbox=Bubblewrap(search=str(tmp_path)))
    arguments = tools.shell.arguments.model_validate({"command": "true"})
    with pytest.raises(Failed, match=r"bwrap is missing: install bubblewrap") as missing:
        await tools.shell.function(arguments, context)
    assert not missing.value.effect_possible
    fake = tmp_path / "bwrap"  # as one that may make no namespace
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    with pytest.raises(Failed, match=r"no sandbox could be made.*install bubblewrap"):
        await tools.shell.function(arguments, context)
