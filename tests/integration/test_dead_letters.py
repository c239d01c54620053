"""`tradeflow dead-letters` on a real Kafka: what a worker couldn't use is listed, shown and sent again."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

from tests.faults.cluster import Cluster, until
from tradeflow import topics
from tradeflow.commands.dead_letters import dead_letters_command
from tradeflow.messages import DeadLetter
from tradeflow.ports import free_port
from tradeflow.worker.dead_letters import MAX_ORIGINAL

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

TOPIC = "binance-orderbook"
BAD = b'{"type":"book","symbol":"\xff"}'


def verb(brokers: str, *arguments: str) -> Result:
    return CliRunner().invoke(dead_letters_command, arguments, env={"KAFKA_BROKERS": brokers})


async def send(brokers: str, *records: tuple[str, int, bytes | None, bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=brokers, max_request_size=2**24) as producer:
        for topic, partition, key, value in records:
            await producer.send_and_wait(topic, value, key=key, partition=partition)


def letter(topic: str, partition: int, original: bytes) -> bytes:
    said = DeadLetter(
        topic=topic,
        partition=partition,
        offset=7,
        reason="for a test",
        key=None,
        original=base64.b64encode(original).decode(),
        time=1_700_000_000_000_000_000,
    )
    return msgspec.json.encode(said)


def test_a_bad_record_is_listed_shown_and_sent_again_byte_for_byte(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        done = verb(cluster.brokers)
        assert done.exit_code == 1 and "this Kafka has no topic dead-letters" in done.output
        cluster.worker().wait_ready()
        done = verb(cluster.brokers)
        assert (done.exit_code, done.output) == (0, "no dead letters\n")
        assert verb(cluster.brokers, "--all", "--yes").output == "nothing is sent\n"

        asyncio.run(send(cluster.brokers, (TOPIC, 1, b"ETH-USDT", BAD), ("binance-trades", 0, None, b"")))
        until(lambda: len(cluster.read(topics.DEAD_LETTERS)[0]) == 2, 30, "both are dead letters")

        listed = json.loads(verb(cluster.brokers, "--json").output)
        assert {(one["topic"], one["partition"], one["key"], one["bytes"], one["cut"]) for one in listed} == {
            (TOPIC, 1, "ETH-USDT", len(BAD), False),
            ("binance-trades", 0, None, 0, False),
        }
        (one,) = json.loads(verb(cluster.brokers, "--json", "--topic", TOPIC).output)
        assert one["reason"] and one["offset"] == 0
        assert len(json.loads(verb(cluster.brokers, "--json", "--limit", "1").output)) == 1
        text = verb(cluster.brokers, "--topic", TOPIC).output
        assert f"{TOPIC}/1@0 ETH-USDT" in text and one["reason"] in text and text.endswith("1 dead letters\n")

        shown = verb(cluster.brokers, "--show", one["letter"])
        assert shown.exit_code == 0 and '{"type":"book","symbol":"\\xff"}' in shown.output
        shown = json.loads(verb(cluster.brokers, "--json", "--show", one["letter"]).output)
        assert base64.b64decode(shown["base64"]) == BAD

        done = verb(cluster.brokers, "--reinject", one["letter"])
        assert (done.exit_code, done.output) == (
            0,
            f"{one['letter']}: sent to {TOPIC}/1@1\n1 of 1 sent again\n",
        )
        first, again = cluster.read(TOPIC)[1]
        assert (again.key, again.value) == (first.key, first.value) == (b"ETH-USDT", BAD)
        # A worker reads it like any other record: it still is bad.
        until(lambda: len(cluster.read(topics.DEAD_LETTERS)[0]) == 3, 30, "it is a dead letter again")

        assert (
            CliRunner()
            .invoke(dead_letters_command, ["--all"], env={"KAFKA_BROKERS": cluster.brokers}, input="n\n")
            .output.endswith("nothing is sent\n")
        )
        done = verb(cluster.brokers, "--all", "--yes", "--topic", TOPIC)
        assert done.exit_code == 0 and "2 of 2 sent again" in done.output
        assert [record.value for record in cluster.read(TOPIC)[1]] == [BAD] * 4


def test_what_can_not_be_sent_again_is_refused_in_words(kafka: str) -> None:
    specs = [topics.TopicSpec(topics.DEAD_LETTERS, 1, topics.DAY)]
    asyncio.run(topics.declare_topics({"bootstrap_servers": kafka}, specs))
    letters = [letter("big-orderbook", 0, b"x" * MAX_ORIGINAL), letter("gone-orderbook", 3, b"{}"), b"junk"]
    asyncio.run(send(kafka, *((topics.DEAD_LETTERS, 0, None, value) for value in letters)))

    big, gone = json.loads(
        CliRunner()
        .invoke(dead_letters_command, ["--json", "--limit", "2"], env={"KAFKA_BROKERS": kafka})
        .stdout
    )
    assert big["cut"] and not gone["cut"]
    done = verb(kafka, "--reinject", big["letter"], "--reinject", gone["letter"])
    assert done.exit_code == 1
    assert f"{big['letter']}: refused: only the first {MAX_ORIGINAL:,} bytes" in done.output
    assert "the whole is big-orderbook/0@7" in done.output
    assert f"{gone['letter']}: refused: Kafka has no gone-orderbook/3 any more" in done.output
    assert "0 of 2 sent again" in done.output
    assert " is no dead letter" in done.output, "a record of somebody else's doesn't hide the letters"

    done = verb(kafka, "--reinject", "0@999999")
    assert done.exit_code == 1 and "no letter 0@999999" in done.output
    for bad in (["--reinject", "first"], ["--show", "0@0", "--all"]):
        assert verb(kafka, *bad).exit_code == 2


def test_without_a_kafka_it_says_so() -> None:
    done = verb(f"127.0.0.1:{free_port()}")
    assert done.exit_code == 3
    assert "no answer of Kafka at 127.0.0.1" in done.output and "KAFKA_BROKERS" in done.output
