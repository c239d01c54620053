"""`tradeflow simulate`: the simulated exchanges as a process of their own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal

import click

from tradeflow.simulator.instruments import listed
from tradeflow.simulator.market import Market
from tradeflow.simulator.server import Simulator


def _names(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


@click.command("simulate")
@click.option("--port", default=0, show_default=True, help="Port on 127.0.0.1; 0 = any free one.")
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
    type=click.IntRange(10, 1000),
    help="Levels a side; up to 1000, so that every exchange's snapshot shows the whole book.",
)
@click.option("--exchanges", default="", callback=_names, help="Comma separated; default: all.")
@click.option("--symbols", default="", callback=_names, help="Comma separated, as BTC-USDT; default: all.")
def simulate_command(
    port: int, rate: float, seed: int, depth: int, exchanges: list[str], symbols: list[str]
) -> None:
    """Simulate the exchanges' own protocols on this machine.

    When ready, prints the environment that points tradeflow at them, one NAME=URL a line."""
    try:
        market = Market(listed(exchanges, symbols), seed=seed, rate=rate, depth=depth)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    asyncio.run(_serve(Simulator(market, port=port)))


async def _serve(simulator: Simulator) -> None:
    this = asyncio.current_task()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel if this else lambda: None)
    try:
        async with simulator:
            for name, url in simulator.endpoints.items():
                click.echo(f"{name}={url}")
            click.echo(f"TRADEFLOW_SIMULATOR_URL={simulator.url}")
            with contextlib.suppress(asyncio.CancelledError):
                await simulator.run()
    except OSError as error:
        problem = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({error})"
        raise click.ClickException(
            f"port {simulator.port} {problem}: choose another --port, or 0 for any free one"
        ) from None
