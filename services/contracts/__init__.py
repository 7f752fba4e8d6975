"""What the services say to each other; imports nothing of ours."""
