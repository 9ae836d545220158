"""The engine of any pipeline: what is done, restored, refused or made. Knows nothing of what the stages make."""
