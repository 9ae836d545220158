"""From files to documents, words and tags: reading, checking, splitting, and what a trained model must beat."""
