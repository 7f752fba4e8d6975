"""Asks Twilio, once for each number, and sends every contact out through one door."""
