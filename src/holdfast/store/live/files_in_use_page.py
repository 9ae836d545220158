"""`docs/files-in-use.md`: what happens to a file that a program holds open while it is backed up, made from the table of kinds.

`python -m holdfast.store.live.files_in_use_page > docs/files-in-use.md`
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby

from holdfast.store.live.kinds import KINDS, UNMARKED, FileKind, Treatment
from holdfast.store.reporting.markdown import wrapped

_HEAD = """\
# Files in use

A backup may look at a file while your program writes it. Write beside it and move it in, and none ever meets half a file:

```python
import json, os
import holdfast

keep = holdfast.attach()
os.makedirs("outputs", exist_ok=True)
with open("outputs/progress.json.new", "w") as file:  # beside it
    json.dump({"epoch": 3}, file)
os.replace("outputs/progress.json.new", "outputs/progress.json")  # in one step
keep.backup("outputs/progress.json")
```

In the loop that writes, `keep.backup` after the save is just as good. For everything else Holdfast looks at what a file is, by its
content, and copies it as that kind allows. What it cannot copy safely it keeps all the same, names it in `status`, and does not
call it safe; `ensure` then takes the newest backup that is whole. Find your file below. The last column says what to do: mostly
nothing, or to close the file.

This page is made from the code by `python -m holdfast.store.live.files_in_use_page`.
"""

_FOOT = """\
## How a copy is made

- **By its library**: SQLite's own online backup, LMDB's own copy, in a process of their own and with a limit in time. It is one
  state that your program had.
- **With its log**: the database and then its log, and both are looked at again. Where one moved, again.
- **To its end at one look**: a file that only grows is copied as far as it went at one look, up to its last whole record.
- **At rest**: copied and looked at again. Where it moved, again; its end is checked by its own format.

Files that their owner holds under a lock (*Locked* in the tables) are read in a process of their own: to open and close one within
your program would drop its lock. Their lock files hold no data and are in no backup.

[What this came to with real programs](files-in-use-measured.md) that write all the time.
"""

_HOW = {
    Treatment.LIBRARY: "by its library",
    Treatment.WITH_LOG: "with its log",
    Treatment.PREFIX: "to its end at one look",
    Treatment.REST: "at rest",
}


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for group, kinds in groupby((*KINDS, *UNMARKED), key=lambda kind: kind.group):
        lines += [f"## {group}", "", *_table(kinds), ""]
    return wrapped("\n".join(lines) + "\n" + _FOOT)


def _table(kinds: Iterable[FileKind]) -> list[str]:
    head = ("what it is", "how it is copied while a program holds it", "safe when; else it is named as not safe", "what to do")
    rows = [(_what(kind), _copied(kind), kind.whole, kind.advice) for kind in kinds]
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * 4, *rows)]


def _what(kind: FileKind) -> str:
    locked = " *Locked.*" if kind.locked else ""
    known = f"Known by {kind.known_by}" if kind.known_by else "Not known by its content"
    return f"**{kind.name}**: {kind.made_by}. {known}.{locked}"


def _copied(kind: FileKind) -> str:
    if not kind.data:
        return "not needed"
    return f"{_HOW[kind.treatment]}. A plain copy {kind.worth}"


if __name__ == "__main__":
    sys.stdout.write(page())
