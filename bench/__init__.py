"""Benchmarks: `make bench` sets tradeflow beside others in one run on a real Kafka.  They gate no test."""
