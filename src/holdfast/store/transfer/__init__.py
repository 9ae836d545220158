"""Bytes on their way: payload sent and fetched, hashed as it goes, the room that it needs, how far it is."""
