"""That all of what is compared was measured on one type of node. It decides, and measures nothing itself. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from holdfast.spread.engine import NoSuchNode


@dataclass(frozen=True)
class Measured:
    """Something that was measured.

    Args:
        name: What.
        node_type: The type of node on which it was; empty where that is not known.
    """

    name: str
    node_type: str


def measure_alike(
    name: str,
    others: Sequence[Measured],
    measure: Callable[[str, str], str],
    again: Callable[[str, str], None],
    gone: Callable[[str], None],
) -> None:
    """Measure one thing, on the type of node that the others were measured on; where that is gone, all of them on another.

    Args:
        name: What is to be measured.
        others: What it is compared with. The first that was on a node says the type.
        measure: Measures on a node of a type, or of any where that is empty; gives the type. Raises `NoSuchNode`.
        again: Told what is measured again, and on which type.
        gone: Told the type of which no node is left.
    """
    wanted = next((other.node_type for other in others if other.node_type), "")
    types = {name: "", **{other.name: other.node_type for other in others}}
    while True:
        try:
            for each, known in list(types.items()):
                if known and known == wanted:
                    continue
                if each != name:
                    again(each, wanted)
                types[each] = wanted = measure(each, wanted)
        except NoSuchNode:
            if not wanted:
                raise
            gone(wanted)
            wanted = ""
            types[name] = ""
        else:
            return
