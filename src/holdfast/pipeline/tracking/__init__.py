"""Trackers: each training is one run of each, with every step once, however often it was cut off."""
