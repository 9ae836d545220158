"""What an operation came to, as plain data and in words for people."""
