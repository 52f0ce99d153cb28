"""A real Kafka for the local stack: one KRaft node of Apache Kafka, which keeps its data.

This process starts the broker, makes the topics, tells where Kafka is, and ends with the broker.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from factotum.dev import kafka_jars
from factotum.dev.kafka_embedded import write_address
from factotum.dev.part import HOST
from factotum.dev.process import leashed
from factotum.events import topics

# As many as the embedded Kafka gives a topic, so that both order events alike.
PARTITIONS = 4
START_SECONDS = 90.0
_PAUSE_SECONDS = 0.1

_LOGGING = """\
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c)%n
"""


def properties(port: int, controller_port: int, data: Path) -> str:
    """The broker's configuration: one node that is both broker and controller, on loopback."""
    one = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data / "log"),
        "num.partitions": str(PARTITIONS),
        **{f"{name}.replication.factor": "1" for name in one},
        **{f"{name}.num.partitions": str(PARTITIONS) for name in one},
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A broker that was killed is let in again once its former self counts as gone.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "1000",
        # A group need not wait for members that will not come.
        "group.initial.rebalance.delay.ms": "0",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def format_storage(java: list[str], config: Path, data: Path) -> None:
    """Makes the data folder a cluster's, once. Raises `CalledProcessError`."""
    if (data / "log" / "meta.properties").exists():
        return
    cluster = cluster_id()
    command = [*java, "kafka.tools.StorageTool", "format", "--config", str(config), "--cluster-id", cluster]
    subprocess.run(command, check=True)  # noqa: S603


def cluster_id() -> str:
    """As Kafka makes its own: none that begins like an option of the command it is given to."""
    while True:
        made = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not made.startswith("-"):
            return made


def create_topics(address: str, seconds: float) -> None:
    """Makes the topics that are missing; returns once all can be used. Raises `KafkaException` after the time."""
    admin = AdminClient({"bootstrap.servers": address, "log_level": 2})
    deadline = time.monotonic() + seconds
    _until(deadline, lambda: admin.list_topics(timeout=1.0))
    made = admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in topics.ALL])
    for future in made.values():
        try:
            future.result(seconds)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    # A new partition refuses clients until the broker has learnt that it leads it.
    partitions = [TopicPartition(name, number) for name in topics.ALL for number in range(PARTITIONS)]

    client = Consumer({"bootstrap.servers": address, "group.id": "factotum-dev", "log_level": 2})
    try:
        for partition in partitions:
            _until(deadline, partial(client.get_watermark_offsets, partition, timeout=2.0))
    finally:
        client.close()


def _until(deadline: float, works: Callable[[], object]) -> None:
    while True:
        try:
            works()
            return
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def run(port: int, controller_port: int, data: Path, address_file: Path, environment: Mapping[str, str]) -> int:
    """Runs the broker to its end; returns its exit status. Raises `KafkaMissing`."""
    data = data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    config, logging = data / "server.properties", data / "log4j2.properties"
    config.write_text(properties(port, controller_port, data), encoding="utf-8")
    logging.write_text(_LOGGING, encoding="utf-8")
    java = [kafka_jars.java(environment), "-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    java += [f"-Dlog4j2.configurationFile={logging}", "-cp", kafka_jars.class_path(environment)]
    format_storage(java, config, data)
    broker = subprocess.Popen(leashed([*java, "kafka.Kafka", str(config)], os.getpid()))  # noqa: S603
    # The broker ends in good order, and this process after it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: broker.terminate())
    address = f"{HOST}:{port}"
    try:
        create_topics(address, START_SECONDS)
        write_address(address_file, address)
        return broker.wait()
    finally:
        if broker.poll() is None:
            broker.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address-file", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--controller-port", type=int, required=True)
    arguments = parser.parse_args()
    try:
        status = run(
            arguments.port, arguments.controller_port, arguments.data, arguments.address_file, environment=os.environ
        )
    except (kafka_jars.KafkaMissing, KafkaException, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        status = 1
    sys.exit(status)


if __name__ == "__main__":
    main()
