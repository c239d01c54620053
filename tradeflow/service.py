"""What `faust -A tradeflow` runs: the wiring, its agents and its web views, all imported."""

from tradeflow import agents
from tradeflow.web import control, dashboard, scrape, trading, views
from tradeflow.wiring import app, book_changes, orders

__all__ = ["agents", "app", "book_changes", "control", "dashboard", "orders", "scrape", "trading", "views"]
