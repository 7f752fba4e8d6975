"""Bulk Lookup: phone numbers looked up at Twilio in bulk, over Kafka."""
