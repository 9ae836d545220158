"""What is written into a store."""
