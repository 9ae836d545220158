"""brat's `.ann`, whose text is the `.txt` of the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from holdfast.pipeline.data.formats.objects import short
from holdfast.pipeline.data.formats.shape import Format, Item, Mark, Problems

FORMAT = Format("brat standoff", "lines that begin with T1 and a tab", sure=False)

_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_RELATIONS = "relations, events, notes and attributes, dropped"


def read_brat(path: Path, annotations: str, problems: Problems) -> Iterator[Item]:
    """The document of an `.ann` file; its text is read from the `.txt` beside it.

    Args:
        path: The `.ann` file.
        annotations: What it holds.
        problems: Takes what is wrong.
    """
    beside = path.with_suffix(".txt")
    try:
        text = beside.read_bytes().decode("utf-8")
    except OSError:
        problems.add("", f"its text {beside.name} is not beside it", "put it there; brat writes both")
        return
    except UnicodeDecodeError as error:
        problems.add("", f"its text {beside.name} is not UTF-8 (byte {error.start})", "save it as UTF-8")
        return
    marks = []
    for number, line in enumerate(annotations.split("\n"), start=1):
        place = f"line {number}"
        if not line.strip():
            continue
        if not line.startswith("T"):
            problems.note(_RELATIONS, place)
            continue
        found = _ENTITY.fullmatch(line.rstrip("\r"))
        if found is None:
            problems.add(place, f"expected T1, a tab, a label, its start and end, got {short(line)}", "mend it there")
            continue
        label, places, said = found.groups()
        pieces = [(int(a), int(b)) for a, b in (piece.split() for piece in places.split(";"))]
        several = tuple(pieces) if len(pieces) > 1 else ()
        marks.append(Mark(pieces[0][0], pieces[-1][1], label, place, None if several else said, several))
    yield Item(path.name, text, tuple(marks))
