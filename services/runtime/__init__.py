"""How any of the services runs: settings, logs, metrics, health, Kafka."""
