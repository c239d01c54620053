"""tradeflow."""
