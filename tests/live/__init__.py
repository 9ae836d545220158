"""Real programs that write all the time, and a backup that looks at them at any moment."""
