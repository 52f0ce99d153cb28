"""How far a consumer group is behind: messages that stand on Kafka and were not handled yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

# The lag where it cannot be said.
UNKNOWN = -1


class LagReader:
    """Asks Kafka, over connections of its own: it is no member of the group and reads no message.

    Args:
        bootstrap_servers: `host:port[,host:port…]`.
        timeout_seconds: of one reading.
    """

    def __init__(
        self, bootstrap_servers: str, group: str, topics: Sequence[str], *, timeout_seconds: float = 5.0
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._group = group
        self._topics = list(topics)
        self._timeout = timeout_seconds
        self._clients: tuple[AIOKafkaAdminClient, AIOKafkaConsumer] | None = None
        self._reading = asyncio.Lock()

    async def read(self, handled: Mapping[tuple[str, int], int]) -> int:
        """Messages of the topics beyond what the whole group has committed or `handled` says; `UNKNOWN` while Kafka
        does not answer.

        Args:
            handled: by topic and partition, the offset after the last message that was handled here: it is
                committed a moment later.
        """
        async with self._reading:
            try:
                async with asyncio.timeout(self._timeout):
                    return await self._read(handled)
            # AttributeError: how aiokafka 0.14 reports that the coordinator refused to tell the offsets.
            except (KafkaError, OSError, TimeoutError, AttributeError):
                await self._drop()
                return UNKNOWN

    async def close(self) -> None:
        async with self._reading:
            await self._drop()

    async def _read(self, handled: Mapping[tuple[str, int], int]) -> int:
        admin, reader = await self._connected()
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics(self._topics)
            for partition in topic["partitions"]
        ]
        if not partitions:
            return 0
        committed = await admin.list_consumer_group_offsets(self._group, partitions=partitions)
        begins = await reader.beginning_offsets(partitions)
        ends = await reader.end_offsets(partitions)
        behind = 0
        for place in partitions:
            # -1 where the group has committed nothing: it begins with the oldest message.
            done = max(committed[place].offset, begins[place], handled.get((place.topic, place.partition), 0))
            behind += max(0, ends[place] - done)
        return int(behind)

    async def _connected(self) -> tuple[AIOKafkaAdminClient, AIOKafkaConsumer]:
        if self._clients is None:
            admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap_servers)
            reader = AIOKafkaConsumer(bootstrap_servers=self._bootstrap_servers, enable_auto_commit=False)
            self._clients = admin, reader
            await admin.start()
            await reader.start()
        return self._clients

    async def _drop(self) -> None:
        if self._clients is not None:
            admin, reader = self._clients
            self._clients = None
            await admin.close()
            await reader.stop()
