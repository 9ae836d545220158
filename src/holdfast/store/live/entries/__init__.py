"""The kinds of file that a program may hold open, an entry each, by family; `live/table` gives them their order."""
