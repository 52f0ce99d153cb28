"""The supervisor as a real process over real, if tiny, parts."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from factotum.dev import control, state
from factotum.dev.part import Part
from factotum.dev.state import StackState
from tests.support import stub_stack
from tests.support.stub_stack import moving, stub

WITHIN = 40.0


class Foreground:
    """A supervisor in the foreground, and all that belongs to its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *parts: Part) -> None:
        command = stub_stack.command(self.directory, parts)
        with (self.directory / "output").open("wb") as output:
            self.process = subprocess.Popen(command, cwd=stub_stack.ROOT, stdout=output, stderr=output)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self) -> int:
        assert self.process is not None
        return self.process.wait(WITHIN)

    @property
    def output(self) -> str:
        return (self.directory / "output").read_text()

    @property
    def story(self) -> list[str]:
        path = self.directory / "story"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def state(self) -> StackState:
        return state.running(self.directory)

    def until(self, holds: Callable[[StackState], bool]) -> StackState:
        """The first state of which `holds` is true."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            try:
                if holds(self.state):
                    return self.state
            except state.NoStack:
                assert self.process is None or self.process.poll() is None, self.output
            time.sleep(0.02)
        raise AssertionError(self.output)

    def until_ready(self) -> StackState:
        return self.until(lambda now: now.health == "ready")

    def kill(self, part: str) -> StackState:
        """What stands when it is noticed."""
        process = self.state.parts[part].process
        assert process is not None
        psutil.Process(process.pid).kill()
        return self.until(lambda now: now.parts[part].process != process)


def left_over(directory: Path) -> list[psutil.Process]:
    """Every process that has the directory among its arguments."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(directory) in word for word in words):
            found.append(process)
    return found


def gone(directory: Path, within: float = 3.0) -> bool:
    deadline = time.monotonic() + within
    while left_over(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def foreground(tmp_path: Path) -> Iterator[Foreground]:
    started = Foreground(tmp_path)
    yield started
    if started.process is not None and started.process.poll() is None:
        started.process.kill()
        started.process.wait()
    for process in left_over(tmp_path):
        process.kill()


def test_ready_is_said_when_and_only_when_all_answer(foreground: Foreground) -> None:
    foreground.start(stub("first", "--delay", "1.5"), stub("second", needs=["first"]), stub("third"))
    foreground.until(lambda now: now.parts["third"].health == "healthy")
    waiting = foreground.state
    assert (waiting.health, waiting.parts["second"].health) == ("starting", "waiting")
    assert "ready" not in foreground.output.splitlines()
    now = foreground.until_ready()
    assert foreground.output.splitlines()[-1] == "ready"
    assert foreground.story.index("first started") < foreground.story.index("second started")
    assert len({part.ports["http"] for part in now.parts.values()}) == 3
    for name, part in now.parts.items():
        assert name in foreground.output and part.addresses["http"] in foreground.output


def test_a_part_that_dies_is_named_and_comes_back_on_its_port(foreground: Foreground) -> None:
    foreground.start(stub("one", "--delay", "1"), stub("two", needs=["one"]))
    before = foreground.until_ready()
    assert foreground.kill("one").health != "ready"
    after = foreground.until_ready()
    assert after.parts["one"].ports == before.parts["one"].ports
    assert after.parts["one"].restarts == 1
    assert after.parts["two"].process == before.parts["two"].process
    assert "one was killed by SIGKILL; restart 1 of 5 in 0.2 s" in foreground.output


def test_after_five_restarts_a_part_is_given_up_on_with_its_last_lines(foreground: Foreground) -> None:
    foreground.start(stub("bad", "--die"), stub("good"))
    now = foreground.until(lambda now: now.health == "degraded")
    assert foreground.story.count("bad started") == 6
    assert now.parts["bad"].health == "given-up"
    assert "ended with status 3" in now.parts["bad"].reason
    assert "no luck today" in now.parts["bad"].reason
    assert now.parts["good"].health == "healthy"
    assert "ready" not in foreground.output.splitlines()
    foreground.send(signal.SIGTERM)
    assert foreground.ended() == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_those_that_need_others_first(foreground: Foreground, number: signal.Signals) -> None:
    foreground.start(
        stub("base"), stub("middle", needs=["base"]), stub("top", needs=["middle"]), stub("alone", "--child")
    )
    foreground.until_ready()
    foreground.send(number)
    assert foreground.ended() == 0
    assert left_over(foreground.directory) == []
    ends = [line.split()[0] for line in foreground.story if line.endswith("ended") and not line.startswith("alone")]
    assert ends == ["top", "middle", "base"]
    assert state.read(foreground.directory).health == "stopped"


def test_a_part_that_will_not_end_is_killed(foreground: Foreground) -> None:
    foreground.start(stub("mule", "--stubborn", stop_seconds=0.5))
    foreground.until_ready()
    foreground.send(signal.SIGTERM)
    assert foreground.ended() == 0
    assert left_over(foreground.directory) == []


def test_a_second_signal_does_not_wait(foreground: Foreground) -> None:
    foreground.start(stub("mule", "--stubborn", stop_seconds=600.0))
    foreground.until_ready()
    foreground.send(signal.SIGINT)
    foreground.until(lambda now: now.health == "stopping")
    foreground.send(signal.SIGINT)
    assert foreground.ended() == 0
    assert left_over(foreground.directory) == []


def test_a_killed_supervisor_leaves_nothing_and_the_ports_are_the_same_again(foreground: Foreground) -> None:
    parts = stub("one", "--stubborn"), stub("two")
    foreground.start(*parts)
    before = foreground.until_ready()
    foreground.send(signal.SIGKILL)
    foreground.ended()
    assert gone(foreground.directory)
    with pytest.raises(state.NoStack, match="factotum dev"):
        control.look(foreground.directory)
    assert control.down(foreground.directory, timeout=5.0) is None
    assert state.read(foreground.directory).health == "stopped"
    foreground.start(*parts)
    after = foreground.until_ready()
    assert {name: part.ports for name, part in after.parts.items()} == {
        name: part.ports for name, part in before.parts.items()
    }


def test_down_ends_what_a_killed_supervisor_could_not_take_along(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        old = subprocess.Popen(["true"])
        stack = StackState(
            health="ready",
            supervisor=state.ProcessId.of(old.pid),
            kafka="embedded",
            directory=tmp_path,
            secrets=tmp_path / "secrets",
            tenants=[],
            parts={
                "left": state.PartState(process=state.ProcessId.of(left.pid), health="healthy", log=tmp_path / "log"),
                # The same number, but another process: it is none of ours.
                "other": state.PartState(
                    process=state.ProcessId(pid=psutil.Process().pid, created=1.0), log=tmp_path / "log"
                ),
            },
        )
        old.wait()
        state.write(stack)
        assert control.down(tmp_path, timeout=5.0) == ["left"]
        assert left.poll() is not None
    finally:
        left.kill()
        left.wait()


def test_who_depends_on_a_part_that_moved_is_started_anew(foreground: Foreground) -> None:
    foreground.start(moving("broker"), stub("user", "--sees", "{broker}", needs=["broker"]), stub("other"))
    before = foreground.until_ready()
    old = new = before.address("broker").removeprefix("http://")
    kills = 0
    while old == new:  # the system may give it the port that it had
        foreground.kill("broker")
        kills += 1
        after = foreground.until_ready()
        new = after.address("broker").removeprefix("http://")
    assert [line for line in foreground.story if line.startswith("user started")] == [
        f"user started {old}",
        f"user started {new}",
    ]
    assert after.parts["user"].restarts == 0
    assert after.parts["other"].process == before.parts["other"].process
    assert foreground.output.count("broker starts: a stub that keeps nothing") == kills + 1


def test_a_part_that_hangs_does_not_count_as_healthy(foreground: Foreground) -> None:
    foreground.start(stub("one"))
    process = foreground.until_ready().parts["one"].process
    assert process is not None
    psutil.Process(process.pid).suspend()
    looked = control.look(foreground.directory)
    assert (looked.health, looked.parts["one"].health) == ("recovering", "not-answering")
    psutil.Process(process.pid).resume()
    assert control.look(foreground.directory).health == "ready"


def test_a_part_that_stops_answering_is_written_down_and_left_alone(foreground: Foreground) -> None:
    foreground.start(stub("one"), stub("two"))
    process = foreground.until_ready().parts["one"].process
    assert process is not None
    psutil.Process(process.pid).suspend()
    now = foreground.until(lambda now: now.parts["one"].health == "not-answering")
    assert "cannot be reached" in now.parts["one"].reason
    foreground.until(lambda now: now.health == "recovering")
    assert foreground.state.parts["two"].health == "healthy"
    psutil.Process(process.pid).resume()
    # A look from outside need not wait for the supervisor's next one.
    assert control.look(foreground.directory).parts["one"].health == "healthy"
    now = foreground.until_ready()
    assert (now.parts["one"].process, now.parts["one"].restarts) == (process, 0)
    assert (now.parts["one"].health, now.parts["one"].reason) == ("healthy", "")
    assert "one does not answer any more: it cannot be reached" in foreground.output
    assert "one answers again" in foreground.output and "all parts answer again" in foreground.output


def test_a_part_that_hung_and_is_killed_comes_back(foreground: Foreground) -> None:
    foreground.start(stub("one"))
    process = foreground.until_ready().parts["one"].process
    assert process is not None
    psutil.Process(process.pid).suspend()
    foreground.until(lambda now: now.parts["one"].health == "not-answering")
    foreground.kill("one")
    assert foreground.until_ready().parts["one"].restarts == 1


def test_a_part_that_never_answers_is_restarted(foreground: Foreground) -> None:
    foreground.start(stub("slow", "--delay", "60", start_seconds=0.8))
    foreground.until(lambda now: now.parts["slow"].restarts == 1)
    assert "slow did not answer within 1 s; restart 1 of 5" in foreground.output


def test_a_directory_has_one_supervisor(foreground: Foreground) -> None:
    parts = [stub("one")]
    foreground.start(*parts)
    before = foreground.until_ready()
    assert control.runs(foreground.directory)
    command = stub_stack.command(foreground.directory, parts)
    second = subprocess.run(command, cwd=stub_stack.ROOT, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "runs in" in second.stderr
    assert foreground.state == before


def test_in_the_background_it_is_ready_when_the_call_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stub_stack.ROOT)
    stack = control.start_command(stub_stack.command(tmp_path, [stub("one", "--delay", "0.5")]), tmp_path, WITHIN)
    try:
        assert stack.health == "ready"
        assert control.look(tmp_path).health == "ready"
    finally:
        control.down(tmp_path, timeout=WITHIN)
    assert left_over(tmp_path) == []
    assert not control.runs(tmp_path)


def test_in_the_background_what_cannot_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stub_stack.ROOT)
    missing = stub("absent", command=("/no/such/program",))
    with pytest.raises(control.StartFailed, match=r"absent is given-up: ended with status 127\n.*cannot be started"):
        control.start_command(stub_stack.command(tmp_path, [missing, stub("good")]), tmp_path, WITHIN)
    assert left_over(tmp_path) == []
