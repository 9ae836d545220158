"""What is there, and how that is known: one look at a store, what a mount may only remember, what a session wrote itself."""
