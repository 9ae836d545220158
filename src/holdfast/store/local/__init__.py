"""This machine's side of the store: files that a job still uses, looked at and copied without disturbing it."""
