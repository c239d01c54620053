"""`python -m tradeflow.simulator`, the same as `tradeflow simulate`."""

from tradeflow.simulator.cli import simulate_command

if __name__ == "__main__":
    simulate_command()
