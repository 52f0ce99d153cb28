"""What a command may not ask of the kernel: a filter of system calls for seccomp(2).

Namespaces do not cover all of a kernel. Keyrings are inherited; a virtual machine's sockets to its host (AF_VSOCK) are
in no network namespace. Memory in a memfd, in System V's objects or in a shared mapping of no file is held but counts
for no process where it is not mapped, or was said to be unneeded; nor do pages that were put into a pipe, and what
sockets hold, whose buffers are therefore the kernel's defaults. The rest of what is refused here is the part of the
kernel in which its faults have been found, and which no command needs.

A program is a sequence of instructions of the classic BPF (linux/filter.h) over `struct seccomp_data`
(linux/seccomp.h).
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Iterator

from factotum.sdk.errors import Failed

# linux/audit.h: AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# Numbers on x86_64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h); None where there is no such call.
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    # keyrings
    "add_key": (248, 217),
    "keyctl": (250, 219),
    "request_key": (249, 218),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # memory that counts for no process
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    # programs inside the kernel, and its other large parts
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "lookup_dcookie": (212, 18),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "nfsservctl": (180, 42),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
}
# Refused as if the kernel had it not: the C library then calls clone, whose flags can be looked at.
_CLONE3 = (435, 435)
_CLONE, _SOCKET, _IOCTL, _MMAP, _SETSOCKOPT = (56, 220), (41, 198), (16, 29), (9, 222), (54, 208)
# sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NAMESPACES = 0x7E020000
# sys/socket.h: AF_UNIX, AF_INET, AF_INET6, and AF_NETLINK, by which names and interfaces are looked up
_FAMILIES = (1, 2, 10, 16)
# linux/in.h: IPPROTO_DCCP, SCTP, UDPLITE, MPTCP; nobody counts what those hold
_PROTOCOLS = (33, 132, 136, 262)
# asm-generic/ioctls.h: TIOCSTI, TIOCLINUX put words into a terminal as if they had been typed
_TYPING = (0x5412, 0x541C)
# asm-generic/mman-common.h: MAP_SHARED with MAP_ANONYMOUS (MAP_SHARED_VALIDATE has the bit, too); MAP_HUGETLB, by which
# pages are taken that the machine's operator has set aside, and which count for no process
_SHARED_OF_NO_FILE, _HUGE_PAGES = 0x01 | 0x20, 0x40000
# asm-generic/socket.h: SOL_SOCKET; SO_SNDBUF, RCVBUF, SNDBUFFORCE, RCVBUFFORCE; ZEROCOPY, which keeps a program's pages
_OF_SOCKETS, _BUFFERS = 1, (7, 8, 32, 33, 60)

_NR, _ARCH, _ARG0, _ARG1, _ARG2, _ARG3 = 0, 4, 16, 24, 32, 40  # offsets; of an argument the lower half
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000


def filters() -> bytes:
    """The program for this machine. Raises `Failed`, without effect, for a machine whose calls are not known here."""
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        known = " and ".join(_ARCHITECTURES)
        raise Failed(f"no sandbox could be made: it is for {known}, and this is {machine}", effect_possible=False)
    return program(machine)


def program(machine: str) -> bytes:
    column, architecture = _ARCHITECTURES[machine]
    return b"".join(_instructions(column, architecture))


def _instructions(column: int, architecture: int) -> Iterator[bytes]:
    yield _word(_LOAD, _ARCH)
    yield from _where(_EQUAL, architecture, otherwise=_KILL)
    yield _word(_LOAD, _NR)
    if column == 0:
        # The same calls by other numbers.
        yield from _refused(_AT_LEAST, _X32, errno.ENOSYS)
    for numbers in FORBIDDEN.values():
        if (number := numbers[column]) is not None:
            yield from _refused(_EQUAL, number, errno.EPERM)
    yield from _refused(_EQUAL, _CLONE3[column], errno.ENOSYS)
    yield from _looked_at(_CLONE[column], _ARG0, list(_refused(_ANY_BIT, _NAMESPACES, errno.EPERM)))
    families = [_word(_EQUAL, family, len(_FAMILIES) - place, 0) for place, family in enumerate(_FAMILIES)]
    protocols = [part for protocol in _PROTOCOLS for part in _refused(_EQUAL, protocol, errno.EPROTONOSUPPORT)]
    other = _word(_RETURN, _ERRNO | errno.EAFNOSUPPORT)
    yield from _looked_at(_SOCKET[column], _ARG0, [*families, other, _word(_LOAD, _ARG2), *protocols])
    typing = [part for command in _TYPING for part in _refused(_EQUAL, command, errno.EPERM)]
    yield from _looked_at(_IOCTL[column], _ARG1, typing)
    mapping = [
        *_refused(_ANY_BIT, _HUGE_PAGES, errno.ENOMEM),
        _word(_AND, _SHARED_OF_NO_FILE),
        *_refused(_EQUAL, _SHARED_OF_NO_FILE, errno.EPERM),
    ]
    yield from _looked_at(_MMAP[column], _ARG3, mapping)
    buffers = [_word(_LOAD, _ARG2), *(part for name in _BUFFERS for part in _refused(_EQUAL, name, errno.EPERM))]
    yield from _looked_at(_SETSOCKOPT[column], _ARG1, [_word(_EQUAL, _OF_SOCKETS, 0, len(buffers)), *buffers])
    yield _word(_RETURN, _ALLOW)


def _where(test: int, value: int, *, otherwise: int) -> Iterator[bytes]:
    yield _word(test, value, 1, 0)
    yield _word(_RETURN, otherwise)


def _refused(test: int, value: int, number: int) -> Iterator[bytes]:
    yield _word(test, value, 0, 1)
    yield _word(_RETURN, _ERRNO | number)


def _looked_at(call: int, offset: int, rules: list[bytes]) -> Iterator[bytes]:
    """Of this call an argument is loaded and meets the rules; what they let through is allowed."""
    yield _word(_EQUAL, call, 0, len(rules) + 2)
    yield _word(_LOAD, offset)
    yield from rules
    yield _word(_RETURN, _ALLOW)


def _word(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
