"""Stable copies of files that a job still uses: taken at once, waiting, guarded, and what an unchanged signature proves."""
