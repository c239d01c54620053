"""What `faust -A tradeflow` runs: the wiring, its agents and its web views, all imported."""

from tradeflow import agents
from tradeflow.web import about, books, control, dashboard, listings, scrape, system, trading
from tradeflow.wiring import app, book_changes, orders

__all__ = [
    "about",
    "agents",
    "app",
    "book_changes",
    "books",
    "control",
    "dashboard",
    "listings",
    "orders",
    "scrape",
    "system",
    "trading",
]
