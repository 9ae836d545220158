"""This machine's side of a store."""
