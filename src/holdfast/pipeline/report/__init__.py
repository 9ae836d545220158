"""The report of a run: what was made, how good it is, and what became of the run, for people."""
