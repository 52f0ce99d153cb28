"""Tries to come at files, secrets and processes of others."""

from __future__ import annotations

TRIES = r"""
@attempt
def descriptors_of_the_executor():
    found = {}
    for pid in ("self", "1"):
        for name in os.listdir(f"/proc/{pid}/fd"):
            try:
                found[pid, name] = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                pass
    own = {found["self", name] for name in "012"} | {"anon_inode:[eventfd]"}
    more = [to for to in found.values() if to not in own and not to.startswith("/proc/")]
    if more:
        return more
    raise OSError("none")


@attempt
def passwords():
    return first(read, ["/etc/shadow", "/etc/passwd", "/proc/1/root/etc/shadow", "/proc/self/root/etc/shadow"])


@attempt
def climbing():
    return first(read, ["/tmp/../etc/shadow", "/run/factotum/../../etc/shadow", "/usr/../../../../etc/shadow"])


@attempt
def links_to_the_machine():
    os.symlink("/etc/shadow", "link")
    os.symlink("../../../../../../etc", "up")
    return first(read, ["link", "up/shadow", "/proc/self/cwd/../etc/shadow"])


@attempt
def hard_link_to_the_machine():
    os.link("/usr/bin/env", "/tmp/env")
    return "linked"


@attempt
def ledger_and_secrets():
    return first(read, given["paths"])


@attempt
def homes_and_settings():
    return first(os.listdir, ["/root", "/home", "/var", "/opt", "/srv", "/mnt", "/sys", "/boot", "/etc/ssl", "/work"])


@attempt
def another_runs_folder():
    # The other one has made a file of this name in its folder.
    found = [place for place in ("/tmp", "/var/tmp", "/dev/shm", "/run") if os.path.exists(f"{place}/of-another-run")]
    if found:
        return found
    raise FileNotFoundError("of-another-run")


@attempt
def environments():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/environ", "rb").read()
        except PermissionError:
            continue
        if b"PLANTED" in words:
            return words
    return first(read, [f"/proc/{pid}/environ" for pid in given["pids"]])


@attempt
def outside_processes():
    return first(lambda pid: os.kill(pid, 0) or pid, given["pids"])


@attempt
def handles_of_outside_processes():
    return first(os.pidfd_open, given["pids"])


@attempt
def tracing():
    return first(lambda pid: call("ptrace", 16, pid, 0, 0), [*given["pids"], os.getppid(), 1])


@attempt
def memory_of_others():
    return first(lambda pid: call("process_vm_readv", pid, 0, 0, 0, 0, 0), [*given["pids"], 1])


@attempt
def priority():
    return first(lambda _: os.nice(-5), [0])


@attempt
def real_time():
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "real time"


"""
