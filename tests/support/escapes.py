"""Runs inside a sandbox and tries to get out of it: one try a name.

`TRIES` is code for `tests.support.sandboxed`; it prints, as JSON, what each try came to: `refused: …` or `got: …`.
"""

from __future__ import annotations

from tests.support.tries import kernel, network, others

_HEAD = r'''
libc = ctypes.CDLL(None, use_errno=True)
tries = {}


def attempt(function):
    tries[function.__name__] = function


def call(name, *arguments):
    """A function of the C library, or by its number a system call; raises OSError."""
    function = getattr(libc, name) if isinstance(name, str) else lambda *more: libc.syscall(name, *more)
    ctypes.set_errno(0)
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return f"{name} = {result}"


def read(path):
    with open(path, "rb") as file:
        return f"{path}: {file.read(200)!r}"


def first(function, values):
    """What the first is that the function takes; the last error where it takes none."""
    for value in values:
        try:
            return function(value)
        except OSError as error:
            last = error
    raise last


'''

_TAIL = r"""
results = {}
for name, function in tries.items():
    try:
        results[name] = f"got: {function()!r}"
    except OSError as error:
        results[name] = f"refused: {error.strerror or error}"
print(json.dumps(results), flush=True)
os._exit(0)  # whatever else some try has left here
"""

TRIES = "".join((_HEAD, others.TRIES, network.TRIES, kernel.TRIES, _TAIL))
