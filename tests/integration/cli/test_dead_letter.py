"""The dead letter on a real (in-process) Kafka."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from factotum.cli.main import app
from factotum.events import topics
from factotum.events.dead_letter import DEAD_LETTER_TYPE, UNKNOWN_TENANT, send_to_dead_letter
from factotum.events.envelope import Event
from factotum.events.producer import MAX_MESSAGE_BYTES, EventProducer
from tests.support.kafka import embedded_kafka, read_all

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
GOOD = Event(id="e1", source="/hr", type="t", tenant="acme", subject="7").to_bytes()


@pytest.fixture
def kafka() -> Iterator[str]:
    with embedded_kafka() as address:
        yield address


@pytest.fixture
def runner(kafka: str) -> CliRunner:
    return CliRunner(env={"FACTOTUM_KAFKA_ADDRESS": kafka, "TERM": "dumb", "COLUMNS": "250"})


def _letter(kafka: str, value: bytes, *, tenant: str = "acme", offset: int = 0, topic: str = topics.EVENTS) -> str:
    async def send() -> str:
        async with EventProducer(kafka, client_id="test") as producer:
            letter = await send_to_dead_letter(
                producer,
                topic=topic,
                partition=0,
                offset=offset,
                value=value,
                reason="no such tool",
                tenant=tenant,
                now=NOW,
            )
        return letter.id

    return asyncio.run(send())


def _open(runner: CliRunner, *options: str) -> list[str]:
    result = runner.invoke(app, ["dead-letter", "list", "--json", *options])
    assert result.exit_code == 0, result.output
    return [letter["id"] for letter in json.loads(result.stdout)["letters"]]


def test_an_empty_dead_letter(runner: CliRunner) -> None:
    assert _open(runner) == []
    assert runner.invoke(app, ["dead-letter", "replay", "--all"]).exit_code == 0


def test_letters_of_no_tenant_are_shown_and_replayed_to_operators_only(runner: CliRunner, kafka: str) -> None:
    acme = _letter(kafka, GOOD)
    _letter(kafka, GOOD, tenant="globex", offset=1)
    unknown = _letter(kafka, b"\xff\x1b[2J", tenant=UNKNOWN_TENANT, offset=2)
    assert _open(runner) == [acme]
    assert _open(runner, "--unknown") == [unknown]
    table = runner.invoke(app, ["dead-letter", "list", "--unknown"])
    assert "no such tool" in table.stdout
    assert "\x1b" not in table.stdout
    assert runner.invoke(app, ["dead-letter", "replay", unknown]).exit_code == 1
    replayed = runner.invoke(app, ["dead-letter", "replay", unknown, "--unknown"])
    assert replayed.exit_code == 0, replayed.output
    assert (_open(runner), _open(runner, "--unknown")) == ([acme], [])


def test_a_letter_without_the_whole_message_is_not_replayed(runner: CliRunner, kafka: str) -> None:
    letter = _letter(kafka, b"x" * (MAX_MESSAGE_BYTES * 3 // 4))  # in base64 more than may be sent
    result = runner.invoke(app, ["dead-letter", "replay", letter])
    assert result.exit_code == 1
    assert "stood in factotum.events, partition 0, offset 0" in result.stderr
    assert read_all(kafka, topics.EVENTS) == []
    assert _open(runner) == [letter]


def test_a_letter_read_twice_is_one_letter(runner: CliRunner, kafka: str) -> None:
    assert _letter(kafka, GOOD) == _letter(kafka, GOOD)
    assert len(_open(runner)) == 1


def test_replay_sends_the_very_bytes_under_their_key_and_closes_the_letter(runner: CliRunner, kafka: str) -> None:
    value = GOOD + b"  "
    first, second = _letter(kafka, value), _letter(kafka, b"not an event", offset=1)
    result = runner.invoke(app, ["dead-letter", "replay", first])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"replayed {first} to factotum.events\n"
    (sent,) = read_all(kafka, topics.EVENTS)
    assert (sent.key, sent.value) == (b"acme/7", value)
    assert _open(runner) == [second]
    again = runner.invoke(app, ["dead-letter", "replay", first])
    assert again.exit_code == 1
    assert "no open letter" in again.stderr
    assert len(read_all(kafka, topics.EVENTS)) == 1


def test_replay_all_leaves_other_tenants_alone(runner: CliRunner, kafka: str) -> None:
    mine, theirs = _letter(kafka, GOOD), _letter(kafka, b"x", tenant="globex", offset=1)
    result = runner.invoke(app, ["dead-letter", "replay", "--all", "--json"])
    assert json.loads(result.stdout) == {"replayed": [{"id": mine, "topic": "factotum.events"}]}
    assert _open(runner) == []
    assert _open(runner, "--tenant", "globex") == [theirs]


def test_one_that_fails_again_is_a_new_letter(runner: CliRunner, kafka: str) -> None:
    _letter(kafka, GOOD)
    runner.invoke(app, ["dead-letter", "replay", "--all"])
    again = _letter(kafka, GOOD, offset=1)
    assert _open(runner) == [again]


def test_nothing_is_replayed_to_the_dead_letter_itself_or_to_a_strange_topic(runner: CliRunner, kafka: str) -> None:
    _letter(kafka, b"x", topic=topics.DEAD_LETTER)
    _letter(kafka, b"x", topic="payroll", offset=1)
    good = _letter(kafka, GOOD, offset=2)
    result = runner.invoke(app, ["dead-letter", "replay", "--all"])
    assert result.exit_code == 1
    assert "to which nothing is replayed" in result.stderr
    assert f"replayed {good}" in result.stdout
    assert len(_open(runner)) == 2


def test_what_is_no_letter_is_passed_over(runner: CliRunner, kafka: str) -> None:
    async def send() -> None:
        async with EventProducer(kafka, client_id="test") as producer:
            await producer.publish_bytes(topics.DEAD_LETTER, b"{", key="k", content_type="text/plain")
            wrong = Event(id="1", source="/x", type=DEAD_LETTER_TYPE, tenant="acme", data={"topic": 1})
            await producer.publish(topics.DEAD_LETTER, wrong)

    asyncio.run(send())
    letter = _letter(kafka, GOOD)
    assert _open(runner) == [letter]


def test_kafka_away_is_a_sentence() -> None:
    result = CliRunner(env={"FACTOTUM_KAFKA_ADDRESS": "127.0.0.1:1"}).invoke(app, ["dead-letter", "list"])
    assert result.exit_code == 1
    assert "Kafka at 127.0.0.1:1 does not answer" in result.stderr
