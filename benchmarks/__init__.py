"""Speed, always as a ratio to something else run beside it."""
