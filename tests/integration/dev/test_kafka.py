"""Both Kafkas of the local stack, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom

import psutil
import pytest

from factotum.dev import kafka_jars, ports
from factotum.events import topics
from factotum.events.lag import LagReader
from factotum.events.producer import EventProducer
from tests.support.kafka import read_all
from tests.support.machine import needs

WITHIN = 90.0


@contextmanager
def running(directory: Path, module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The process and the address it told."""
    told = directory / "kafka"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", module, "--address-file", str(told), *arguments]
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + WITHIN
        while not told.exists():
            assert process.poll() is None and time.monotonic() < deadline, (directory / "log").read_text()
            time.sleep(0.05)
        yield process, told.read_text().strip()
    finally:
        process.kill()
        process.wait()


async def send(address: str, value: bytes) -> None:
    async with EventProducer(address, client_id="test", timeout_seconds=10.0) as producer:
        await producer.publish_bytes(topics.EVENTS, value, key="acme", content_type="text/plain")


async def test_the_embedded_kafka_takes_events_and_gives_them_back(tmp_path: Path) -> None:
    with running(tmp_path, "factotum.dev.kafka_embedded") as (process, address):
        for topic in topics.ALL:
            assert read_all(address, topic) == []
        await send(address, b"one")
        assert [message.value for message in read_all(address, topics.EVENTS)] == [b"one"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10.0) == 0
    assert "for development only" in (tmp_path / "log").read_text()


@pytest.fixture(scope="session")
def jars() -> Path:
    needs("java", "mvn", what="a real Kafka")
    return kafka_jars.install(os.environ)


@pytest.mark.apache
async def test_the_real_kafka_keeps_events_even_when_it_is_killed(tmp_path: Path, jars: Path) -> None:
    take = ports.Reservations(ports.shared_directory()).take
    chosen = ports.choose({"kafka": {"broker": 9092, "controller": 9093}}, {}, take, SystemRandom())["kafka"]
    arguments = ["--data", str(tmp_path / "data"), "--port", str(chosen["broker"])]
    arguments += ["--controller-port", str(chosen["controller"])]
    with running(tmp_path, "factotum.dev.kafka_apache", *arguments) as (process, address):
        for topic in topics.ALL:
            assert read_all(address, topic) == []
        await send(address, b"one")
        reader = LagReader(address, "nobody", topics.ALL)
        assert await reader.read({}) == 1
        await reader.close()
        (broker,) = psutil.Process(process.pid).children()
        assert Path(broker.exe()).name == "java"
        process.kill()
        assert broker.wait(5.0) is None, "the broker ends with the process that started it"
    with running(tmp_path, "factotum.dev.kafka_apache", *arguments) as (process, address):
        assert [message.value for message in read_all(address, topics.EVENTS)] == [b"one"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30.0) == 143
    assert "for development" not in (tmp_path / "log").read_text()


def test_without_java_or_maven_the_advice_is_what_to_install(tmp_path: Path) -> None:
    nothing = {"PATH": str(tmp_path), "FACTOTUM_CACHE_DIRECTORY": str(tmp_path / "cache")}
    with pytest.raises(kafka_jars.KafkaMissing, match=r"Java 17 or newer: put `java` on PATH"):
        kafka_jars.install(nothing)
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    with pytest.raises(kafka_jars.KafkaMissing, match=r"says \['openjdk version \"11"):
        kafka_jars.install(nothing)
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\"' >&2\n")
    with pytest.raises(kafka_jars.KafkaMissing, match="put `mvn` on PATH"):
        kafka_jars.install(nothing)
    with pytest.raises(kafka_jars.KafkaMissing, match="make kafka"):
        kafka_jars.class_path(nothing)
