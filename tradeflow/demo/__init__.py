"""The whole system on one machine: a real Kafka, exchanges (simulated or real), a worker, a live terminal."""
