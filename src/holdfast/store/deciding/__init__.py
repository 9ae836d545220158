"""What is decided: pure, tested without a disk."""
