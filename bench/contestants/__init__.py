"""The programs that are measured, each as its framework wants it, all with the same `tables.book.Book`.

Each reads `market-events` and writes a record to `top-of-book` whenever the best bid or ask, price or size,
has changed; commits every second, at least once, acks=all.  The environment tells the broker (BENCH_BROKER);
the working directory is empty and theirs.
"""
