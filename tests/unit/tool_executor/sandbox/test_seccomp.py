"""The filter of system calls: its numbers are the kernel's, and it says what it is meant to say."""

from __future__ import annotations

import errno
import re
import struct
from functools import cache
from pathlib import Path

import pytest

from factotum.sdk.errors import Failed
from factotum.tool_executor.sandbox import seccomp
from factotum.tool_executor.sandbox.seccomp import FORBIDDEN, program

ALLOW, KILL = 0x7FFF0000, 0x80000000
NUMBERS = {
    "x86_64": {
        **{"arch": 0xC000003E, "clone": 56, "clone3": 435, "socket": 41, "ioctl": 16, "read": 0, "execve": 59},
        **{"mmap": 9, "setsockopt": 54},
    },
    "aarch64": {
        **{"arch": 0xC00000B7, "clone": 220, "clone3": 435, "socket": 198, "ioctl": 29, "read": 63, "execve": 221},
        **{"mmap": 222, "setsockopt": 208},
    },
}
HEADERS = {
    0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    1: Path("/usr/include/asm-generic/unistd.h"),
}


@cache
def instructions(machine: str) -> list[tuple[int, int, int, int]]:
    return list(struct.iter_unpack("=HBBI", program(machine)))


def verdict(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the program answers: it is run here as the kernel runs it."""
    words = instructions(machine)
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, NUMBERS[machine]["arch"] if arch is None else arch, 0, *padded)
    at, held = 0, 0
    while True:
        code, if_true, if_false, value = words[at]
        at += 1
        match code:
            case 0x20:
                held = struct.unpack_from("=I", data, value)[0]
            case 0x54:
                held &= value
            case 0x06:
                return value
            case _:
                true = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[code]
                at += if_true if true else if_false


def refused(number: int) -> int:
    return 0x00050000 | number


@pytest.mark.parametrize("machine", NUMBERS)
def test_what_is_refused_and_what_is_not(machine: str) -> None:
    numbers = NUMBERS[machine]
    column = list(NUMBERS).index(machine)
    for name, both in FORBIDDEN.items():
        if (number := both[column]) is not None:
            assert verdict(machine, number) == refused(errno.EPERM), name
    for name in ("read", "execve"):
        assert verdict(machine, numbers[name]) == ALLOW
    assert verdict(machine, numbers["clone3"]) == refused(errno.ENOSYS)
    assert verdict(machine, numbers["clone"], 17) == ALLOW
    for namespace in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, numbers["clone"], namespace | 17) == refused(errno.EPERM)
    for family in range(64):
        allowed = family in (1, 2, 10, 16)
        assert verdict(machine, numbers["socket"], family) == (ALLOW if allowed else refused(errno.EAFNOSUPPORT))
    for protocol in (0, 6, 17, 33, 132, 136, 262):
        allowed = protocol in (0, 6, 17)
        asked = verdict(machine, numbers["socket"], 2, 1, protocol)
        assert asked == (ALLOW if allowed else refused(errno.EPROTONOSUPPORT))
    assert verdict(machine, numbers["ioctl"], 0, 0x5401) == ALLOW
    for command in (0x5412, 0x541C):
        # The kernel looks at the lower half of the argument.
        for value in (command, command | 1 << 40):
            assert verdict(machine, numbers["ioctl"], 0, value) == refused(errno.EPERM)


@pytest.mark.parametrize("machine", NUMBERS)
def test_memory_that_counts_for_no_process(machine: str) -> None:
    def mapping(flags: int) -> int:
        return verdict(machine, NUMBERS[machine]["mmap"], 0, 4096, 3, flags, 0xFFFFFFFF)

    def option(level: int, name: int) -> int:
        return verdict(machine, NUMBERS[machine]["setsockopt"], 3, level, name)

    shared, private, validated, fixed, anonymous, huge = 1, 2, 3, 0x10, 0x20, 0x40000
    for flags in (shared, validated, private, private | anonymous, private | fixed | anonymous):
        assert mapping(flags) == ALLOW
    for flags in (shared | anonymous, validated | anonymous, shared | anonymous | fixed | 1 << 40):
        assert mapping(flags) == refused(errno.EPERM)
    assert mapping(private | anonymous | huge) == mapping(shared | huge | 21 << 26) == refused(errno.ENOMEM)
    for name in range(80):
        assert option(1, name) == (refused(errno.EPERM) if name in (7, 8, 32, 33, 60) else ALLOW)
        assert option(6, name) == ALLOW


@pytest.mark.parametrize("machine", NUMBERS)
def test_another_architectures_calls_end_the_program(machine: str) -> None:
    assert verdict(machine, NUMBERS[machine]["read"], arch=0x40000003) == KILL
    assert verdict(machine, NUMBERS[machine]["read"], arch=0) == KILL


def test_the_other_numbers_of_the_same_calls_are_refused() -> None:
    assert verdict("x86_64", 0x40000000) == refused(errno.ENOSYS)
    assert verdict("x86_64", 0x40000000 + 321) == refused(errno.ENOSYS)


@pytest.mark.parametrize("column", HEADERS)
def test_the_numbers_are_the_kernels(column: int) -> None:
    header = HEADERS[column]
    if not header.exists():
        pytest.skip(f"{header} of the package linux-libc-dev is not on this machine")
    found = re.findall(r"^#define __NR(?:3264)?_(\w+)\s+(\d+)\b", header.read_text(), re.MULTILINE)
    known = {name: int(number) for name, number in found}
    for name, both in FORBIDDEN.items():
        assert both[column] == known.get(name), name


def test_a_machine_that_is_not_known_runs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(Failed, match="no sandbox could be made") as failed:
        seccomp.filters()
    assert not failed.value.effect_possible
