"""The drill: a command is killed again and again with its whole machine, and what it lost is held against what status had said.

Deciding (`moments`, `judging`, `comparing`, `report`) is pure. Doing (`copying`, `inventory`, `processes`, `machine`, `drives`)
decides nothing. `rehearsal` is the order, to be read from top to bottom.
"""
