"""Backups in the background: a copy is taken in the thread of who asks, sent in another, and waits while it cannot be."""
