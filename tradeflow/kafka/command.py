"""`tradeflow kafka`: a Kafka on this machine until Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from tradeflow.commands.verb import verb
from tradeflow.kafka.broker import Kafka
from tradeflow.kafka.jars import VERSION, default_cache_dir, fetch_jars, jars_home
from tradeflow.kafka.java import find_java
from tradeflow.settings import load_settings


def run(
    port: int, data_dir: Path | None, jmx_port: int, *, on_ready: Callable[[Kafka], None], console: Console
) -> None:
    """Run a broker until SIGINT or SIGTERM.  Raises KafkaError if it can't start or ends by itself."""
    settings = load_settings()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with console.status("Starting Kafka") as status:
            kafka = Kafka(
                data_dir,
                port,
                jmx_port=jmx_port,
                cache_dir=settings.cache_dir,
                maven_url=settings.maven_url,
                progress=status.update if console.is_terminal else console.print,
            ).start()
    except KeyboardInterrupt:
        return
    try:
        on_ready(kafka)
        while True:
            kafka.check()
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("Stopping Kafka")
    finally:
        kafka.stop()


def fetch(console: Console) -> None:
    """Download the jars and check that there is a Java.  Raises KafkaError."""
    settings = load_settings()
    cache_dir = settings.cache_dir or default_cache_dir()
    java = find_java()
    with console.status("Looking for Kafka") as status:
        progress = status.update if console.is_terminal else (lambda _: None)
        jars = fetch_jars(cache_dir, settings.maven_url, progress)
    console.print(
        f"Kafka {VERSION}: {len(jars)} jars in {jars_home(cache_dir)}, Java {java.version}", soft_wrap=True
    )


@verb(
    "kafka",
    "tradeflow kafka                          # on port 9092, until Ctrl-C",
    "tradeflow kafka --data-dir kafka-data    # keeps its topics",
    "tradeflow kafka --fetch-only",
)
@click.option(
    "--port", default=9092, show_default=True, type=click.IntRange(0, 65535), help="0 = any free port."
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keeps topics from one run to the next; default: a temporary directory, removed at the end.",
)
@click.option(
    "--jmx-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Its own metrics over JMX there, on 127.0.0.1; default: none.",
)
@click.option(
    "--fetch-only", is_flag=True, help="Only download what a start needs, for one without a network."
)
def kafka_command(port: int, data_dir: Path | None, jmx_port: int, fetch_only: bool) -> None:
    """Run a real Kafka here, without Docker.

    One node on 127.0.0.1, until Ctrl-C; for a laptop, tests and trials."""
    console = Console(stderr=True, highlight=False)

    def on_ready(kafka: Kafka) -> None:
        kept = "kept" if data_dir else "removed at the end"
        console.print(f"Kafka's data: {kafka.data_dir} ({kept}); its log: {kafka.log_file}", soft_wrap=True)
        click.echo(f"Kafka is ready: KAFKA_BROKERS={kafka.bootstrap}  (Ctrl-C ends it)")

    if fetch_only:
        return fetch(console)
    run(port, data_dir, jmx_port, on_ready=on_ready, console=console)
