"""Steps of a commit, which `backup` puts in their order: what the store has, what a kill left, what is remembered."""
