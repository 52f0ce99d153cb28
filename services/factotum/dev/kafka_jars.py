"""Apache Kafka's jars: Maven fetches them into the cache, as the pom says, and there they are found."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from factotum.dev import cache

# What Kafka 4 brokers ask for.
JAVA_VERSION = 17
_EMBEDDED = "or leave out `--kafka apache`: the embedded Kafka needs neither Java nor Maven"


class KafkaMissing(RuntimeError):
    """Something that Apache Kafka needs is not there. The message says what to install."""


def pom() -> Path:
    """The list of what is needed: in the installed package, or in the checkout."""
    here = Path(__file__).parent
    installed = here / "kafka_pom.xml"
    return installed if installed.is_file() else here.parents[2] / "deploy" / "kafka" / "pom.xml"


def directory(environment: Mapping[str, str]) -> Path:
    """Where the jars are, or will be. Another pom has another place."""
    return cache.directory(environment) / f"kafka-{hashlib.sha256(pom().read_bytes()).hexdigest()[:12]}"


def java(environment: Mapping[str, str]) -> str:
    """The Java to use: of JAVA_HOME, else of PATH. Raises `KafkaMissing` if it is absent or too old."""
    home = environment.get("JAVA_HOME")
    found = str(Path(home) / "bin" / "java") if home else shutil.which("java", path=environment.get("PATH"))
    if found is None or not Path(found).is_file():
        raise KafkaMissing(f"Apache Kafka needs Java {JAVA_VERSION} or newer: put `java` on PATH, {_EMBEDDED}")
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = re.search(r'version "(\d+)', answer.stderr)
    if version is None or int(version[1]) < JAVA_VERSION:
        said = answer.stderr.strip().splitlines()[:1]
        raise KafkaMissing(f"Apache Kafka needs Java {JAVA_VERSION} or newer; {found} says {said}")
    return found


def class_path(environment: Mapping[str, str]) -> str:
    """Java's class path of the broker and its tools. Raises `KafkaMissing` if it was not installed."""
    found = directory(environment)
    if not found.is_dir():
        raise KafkaMissing("Apache Kafka is not installed: `make kafka`, or `factotum dev kafka-install`")
    return str(found / "*")


def install(environment: Mapping[str, str]) -> Path:
    """Fetches the jars, unless they are there; returns their folder. Raises `KafkaMissing`."""
    java(environment)
    target = directory(environment)
    if target.is_dir():
        return target
    maven = shutil.which("mvn", path=environment.get("PATH"))
    if maven is None:
        raise KafkaMissing(f"fetching Apache Kafka needs Maven: put `mvn` on PATH, {_EMBEDDED}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=target.parent) as folder:
        jars = Path(folder) / "jars"
        command = [maven, "-B", "-q", "-f", str(pom()), "dependency:copy-dependencies"]
        command += [f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
        fetched = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if fetched.returncode != 0:
            said = "\n".join((fetched.stdout + fetched.stderr).strip().splitlines()[-10:])
            raise KafkaMissing(f"Maven could not fetch Apache Kafka:\n{said}")
        if not target.is_dir():  # another process may have been faster
            jars.rename(target)
    return target
