"""Kafka for development: librdkafka's in-process cluster in a process of its own. All is kept in memory.

The cluster chooses its own port; `--address-file` is where it tells. Topics are there before it tells.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

from confluent_kafka import Producer

from factotum.events import topics

_TIMEOUT = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address-file", type=Path, required=True)
    arguments = parser.parse_args()
    # Before anything starts threads: they inherit it, and only this one waits for the signals.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "unused", "log_level": 4})
    broker = next(iter(cluster.list_topics(timeout=_TIMEOUT).brokers.values()))
    for name in topics.ALL:
        # It cannot be asked to create topics, but makes those that it is asked about.
        cluster.list_topics(name, timeout=_TIMEOUT)
    address = f"{broker.host}:{broker.port}"
    print(f"Kafka in memory, for development only, at {address}: what it holds is lost when it stops", flush=True)
    write_address(arguments.address_file, address)
    signal.sigwait(ends)
    cluster.close()


def write_address(path: Path, address: str) -> None:
    """Tells, all at once, where Kafka is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_text(address + "\n", encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    main()
