"""What others may use to test a backend of theirs. Needs pytest."""
