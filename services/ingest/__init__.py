"""Takes contacts in, checks and normalises them, and publishes them to Kafka."""
