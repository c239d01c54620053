"""What every Kafka client needs: settings, security, a reader outside of groups, and what a cluster has."""
