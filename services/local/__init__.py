"""The whole system on one machine: Kafka, PostgreSQL, a Twilio simulator, the demo."""
