"""Where am I, the mount, the keeper, and the plan's functions."""
