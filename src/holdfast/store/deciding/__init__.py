"""Decisions of the store as plain data in and out: nothing here touches a disk."""
