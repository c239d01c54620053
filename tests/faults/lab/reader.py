"""A worker with a plain agent that reads one more topic than the others of its group."""

from typing import Any

from tradeflow import app


@app.agent(app.topic("trades", value_type=bytes, value_serializer="raw"), name="reader")
async def reader(trades: Any) -> None:
    async for _ in trades:
        pass
