"""The top of every book in Redis, for readers outside."""
