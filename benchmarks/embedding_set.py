"""A small retrieval set out of Python's own documentation: a docstring's first sentence asks for the rest of it.

Each standard library holds about 1,700 such pairs, written by people, in prose; what asks does not repeat what answers.
Which pairs there are depends on the version of Python, and on nothing else.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from random import Random

MODULES = """
    argparse array ast asyncio base64 bisect calendar cmath collections concurrent.futures configparser
    contextlib copy csv ctypes dataclasses datetime decimal difflib dis email.message email.utils enum
    fileinput fractions ftplib functools gzip hashlib heapq hmac html http.client http.cookies imaplib
    importlib.metadata inspect io ipaddress itertools json locale logging logging.handlers lzma mailbox
    math mimetypes multiprocessing multiprocessing.pool netrc numbers operator optparse os os.path
    pathlib pickle pickletools platform plistlib poplib posix pprint queue random re sched secrets
    select selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl stat statistics
    string struct subprocess sysconfig tarfile tempfile textwrap threading time timeit tokenize
    traceback types typing unicodedata unittest unittest.mock urllib.parse urllib.request
    urllib.robotparser uuid warnings wave weakref wsgiref.util xml.dom.minidom xml.etree.ElementTree
    xmlrpc.client zipfile zoneinfo
"""


def pairs(count: int, *, seed: int) -> tuple[list[str], list[str]]:
    """Questions and their answers, each answer's question at its place."""
    found: dict[str, str] = {}
    for docstring in _docstrings():
        question, answer = (" ".join(part.split()) for part in _split(docstring))
        if len(question.split()) >= 4 and len(answer.split()) >= 8 and answer not in found.values():
            found.setdefault(question, answer)
    chosen = Random(seed).sample(sorted(found.items()), min(count, len(found)))  # noqa: S311
    return [question for question, _ in chosen], [answer for _, answer in chosen]


def _split(docstring: str) -> tuple[str, str]:
    parts = re.split(r"(?<=\.)\s+|\n\s*\n", docstring, maxsplit=1)
    return parts[0], parts[1] if len(parts) == 2 else ""


def _docstrings() -> Iterator[str]:
    for name in MODULES.split():
        for _, thing in sorted(vars(importlib.import_module(name)).items()):
            if inspect.isroutine(thing) or inspect.isclass(thing):
                yield inspect.getdoc(thing) or ""
            if inspect.isclass(thing):
                for _, method in sorted(vars(thing).items()):
                    if inspect.isroutine(method):
                        yield inspect.getdoc(method) or ""
