"""`tradeflow simulate`: the simulated exchanges as a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from collections.abc import Iterable
from pathlib import Path

import click

from tradeflow.commands.verb import comma_list, verb
from tradeflow.simulator.host import Host
from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.recorded import RecordedExchange, recorded_names
from tradeflow.simulator.server import Simulator


@verb(
    "simulate",
    "tradeflow simulate --rate 100",
    "tradeflow simulate --exchanges kraken --symbols BTC-USD",
    "tradeflow simulate --recordings frames.rec --speed 1",
)
@click.option(
    "--port",
    default=0,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port on 127.0.0.1; 0 = any free one.",
)
@click.option(
    "--rate",
    default=500.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Book updates a second, over all books together.",
)
@click.option("--seed", default=1, show_default=True, help="Of the synthetic market: same seed, same events.")
@click.option(
    "--depth",
    default=250,
    show_default=True,
    type=click.IntRange(10, 980),
    help="Levels a side, or up to ten more: all fit into snapshots and subscriptions of 1,000 levels.",
)
@click.option("--exchanges", default="", callback=comma_list, help="Comma separated; default: all.")
@click.option(
    "--symbols", default="", callback=comma_list, help="Comma separated, as BTC-USDT; default: all."
)
@click.option(
    "--recordings",
    type=click.Path(exists=True, path_type=Path),
    help="Play a file of `tradeflow record --exchange` instead, or the recordings (NAME.0, NAME.ws.*) of a directory, "
    "each on a port of its own.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="Of recordings: times as fast as they came; default: as fast as they are taken.",
)
def simulate_command(
    port: int,
    rate: float,
    seed: int,
    depth: int,
    exchanges: list[str],
    symbols: list[str],
    recordings: Path | None,
    speed: float | None,
) -> None:
    """Run the simulated exchanges.

    They speak the exchanges' own protocols over HTTP and WebSockets. When ready, prints the environment that
    points tradeflow at them, one NAME=URL a line."""
    try:
        served: list[Host]
        if recordings:
            served = [RecordedExchange(recordings, name, speed=speed) for name in recorded_names(recordings)]
        else:
            served = [
                Simulator(Market(listed(exchanges, symbols), seed=seed, rate=rate, depth=depth), port=port)
            ]
    except (ValueError, FileNotFoundError) as error:
        raise click.UsageError(str(error)) from None
    asyncio.run(_serve(served))


async def _serve(served: Iterable[Host]) -> None:
    """Until a signal, or until one of them fails."""
    this = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel if this else lambda: None)
    async with contextlib.AsyncExitStack() as stack:
        for one in served:
            try:
                await stack.enter_async_context(one)
            except OSError as error:
                problem = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({error})"
                raise click.ClickException(
                    f"port {one.port} {problem}: choose another --port, or 0 for any free one"
                ) from None
        for one in served:
            for name, url in one.endpoints.items():
                click.echo(f"{name}={url}")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*(one.run() for one in served))
