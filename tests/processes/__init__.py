"""Several processes of one job in one workspace: each gets in, in order, and what was flushed comes back."""
