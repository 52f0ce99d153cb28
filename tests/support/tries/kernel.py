"""Tries at the kernel: namespaces, privileges, devices, settings, limits."""

from __future__ import annotations

TRIES = r"""
@attempt
def mounting():
    tries = [(b"tmpfs", b"/tmp", b"tmpfs", 0), (b"/", b"/tmp", None, 4096), (b"none", b"/", None, 32 | 4096)]
    return first(lambda one: call("mount", *one, None), [*tries, (b"proc", b"/proc", b"proc", 0)])


@attempt
def mounting_the_new_way():
    return first(lambda number: call(number, b"tmpfs", 0, 0, 0, 0), [428, 430, 433, 442])


@attempt
def unmounting():
    return first(lambda path: call("umount2", path, 2), [b"/proc", b"/tmp", b"/usr"])


@attempt
def new_root():
    return first(lambda name: call(name, b"/tmp", b"/tmp"), ["chroot", "pivot_root"])


@attempt
def namespaces():
    kinds = [0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000, 0x80]
    return first(lambda kind: call("unshare", kind), [*kinds, 0x10020000])


@attempt
def namespaces_of_a_child():
    # clone(2) with CLONE_NEWUSER, and clone3(2), which no filter can look into.
    number = 56 if os.uname().machine == "x86_64" else 220
    made = first(lambda one: call(*one), [(number, 0x10000000 | 17, 0, 0, 0, 0), (435, 0, 0)])
    if made.endswith("= 0"):
        os._exit(0)  # the child
    return made


@attempt
def entering_namespaces():
    return first(lambda name: call("setns", os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0), os.listdir("/proc/1/ns"))


@attempt
def becoming_root():
    ways = [lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0)]
    return first(lambda become: become() or "root", ways)


@attempt
def programs_that_become_root():
    if libc.prctl(39, 0, 0, 0, 0) != 1 or not os.statvfs("/usr").f_flag & os.ST_NOSUID:
        return "setuid programs keep their rights"
    with open("su", "wb") as file:
        file.write(open("/usr/bin/env", "rb").read())
    os.chmod("su", 0o4755)
    if not os.statvfs("/tmp").f_flag & os.ST_NOSUID:
        return "they can be made"
    raise OSError("no new rights")


@attempt
def capabilities():
    lines = dict(line.split(":\t") for line in open("/proc/self/status").read().splitlines() if line.startswith("Cap"))
    if any(int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")):
        return lines
    raise OSError("none")


@attempt
def device_nodes():
    kinds = [(stat.S_IFBLK, 8), (stat.S_IFCHR, 1)]
    return first(lambda one: os.mknod("node", one[0] | 0o666, os.makedev(one[1], 1)) or one, kinds)


@attempt
def devices():
    names = ["mem", "kmem", "port", "kmsg", "sda", "vda", "fuse", "kvm", "vsock", "net/tun", "loop-control", "tty0"]
    return first(read, [f"/dev/{name}" for name in names])


@attempt
def terminals():
    return os.open("/dev/tty", os.O_RDWR)


@attempt
def typing_into_terminals():
    import fcntl
    _, terminal = os.openpty()
    return first(lambda command: fcntl.ioctl(terminal, command, b"x"), [0x5412, 0x541C])


@attempt
def writing_outside():
    places = ["/x", "/usr/x", "/usr/bin/env", "/etc/x", "/run/x", "/dev/x", "/lib/x", "/var/x"]
    return first(lambda place: open(place, "w") and place, [*places, "/run/factotum/code.py"])


@attempt
def settings_of_the_kernel():
    names = ["sys/kernel/hostname", "sys/kernel/core_pattern", "sys/vm/overcommit_memory", "sysrq-trigger"]
    return first(lambda name: open(f"/proc/{name}", "w").write("x"), names)


@attempt
def kernel_memory():
    return first(read, ["/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/proc/slabinfo", "/proc/1/mem"])


@attempt
def name_of_the_machine():
    socket.sethostname("escaped")
    return "named"


@attempt
def keyring():
    numbers = (248, 249, 250) if os.uname().machine == "x86_64" else (217, 218, 219)
    add, request, control = numbers
    tries = [(add, b"user", b"key", b"value", 5, -3), (request, b"user", b"key", 0, -3), (control, 0, -3, 0)]
    return first(lambda one: call(*one), [*tries, (control, 11, -3, 0, 0)])


@attempt
def memory_that_counts_for_nobody():
    tries = [("memfd_create", b"x", 0), ("shmget", 0, 4096, 0o1600), ("msgget", 0, 0o1600), (447, 0)]
    return first(lambda one: call(*one), tries)


@attempt
def shared_memory_of_no_file():
    with open("/dev/zero", "rb") as zeros:
        # Given up page by page it would be no process's, and still be there.
        return first(lambda file: mmap.mmap(file, 4096, mmap.MAP_SHARED, mmap.PROT_READ), [-1, zeros.fileno()])


@attempt
def pages_set_aside_by_the_machine():
    return mmap.mmap(-1, 1 << 21, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)


@attempt
def pages_put_into_a_pipe():
    number = 278 if os.uname().machine == "x86_64" else 75
    page = ctypes.create_string_buffer(4096)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(page), 4096)
    return call(number, os.pipe()[1], ctypes.byref(vector), 1, 0)


@attempt
def larger_buffers_of_sockets():
    def larger(name):
        with socket.socket(socket.AF_UNIX) as one:
            one.setsockopt(socket.SOL_SOCKET, name, 1 << 30)
            return one.getsockopt(socket.SOL_SOCKET, name)
    return first(larger, [socket.SO_SNDBUF, socket.SO_RCVBUF, 32, 33])


@attempt
def protocols_that_nobody_counts():
    return first(lambda one: socket.socket(socket.AF_INET, *one), [(1, 262), (1, 132), (2, 136), (6, 33)])


@attempt
def programs_in_the_kernel():
    numbers = {"bpf": (321, 280), "perf": (298, 241), "faults": (323, 282), "rings": (425, 425), "disks": (206, 0)}
    column = os.uname().machine != "x86_64"
    return first(lambda one: call(one[column], 0, 0, 0, 0, 0), numbers.values())


@attempt
def the_same_calls_by_other_numbers():
    if os.uname().machine == "x86_64":
        return call(0x40000000 + 39)
    raise OSError("there are none")


@attempt
def calls_of_another_architecture():
    if os.uname().machine != "x86_64":
        raise OSError("there is none")
    child = os.fork()
    if child == 0:
        # mov eax, 20 (getpid of i386); int 0x80; ret
        memory = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        memory.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
        ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS:
        raise OSError("killed")
    return status


@attempt
def larger_limits():
    import resource
    names = ["NOFILE", "NPROC", "CPU", "FSIZE", "AS"]
    def raised(name):
        try:
            return resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (-1, -1)) or name
        except ValueError as error:
            raise PermissionError(str(error)) from None
    return first(raised, names)


@attempt
def the_machines_clock():
    time.clock_settime(time.CLOCK_REALTIME, 0)
    return "set"


"""
