"""What is written in the store, byte by byte."""
