"""Feeds: from an exchange's WebSocket to its raw topics."""
