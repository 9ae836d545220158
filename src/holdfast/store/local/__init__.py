"""This machine's side of the store: what of its disk a backup may take."""
