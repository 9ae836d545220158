"""The page of the kill sweep, from what two sweeps kept: `python -m tests.faults.page PLAIN ON_DRIVE WHERE`.

WHERE says in words on which machine and file system they ran.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.faults.bench import Tool
from tests.faults.swept import Kept
from tests.faults.test_kill_sweep import SAMPLE, SAMPLE_ON_DRIVE

_HEAD = f"""\
# The kill sweep

`make torture` kills every command, by SIGKILL, at the file system calls that it makes in the workspace or in the
store, and judges what is left: a fresh machine gets a committed generation byte for byte, the generation before the
interrupted one is there, no partial tree is at a final path, and the same command run again converges without a
fork. The same sweep over `rmtree` + `copytree` shows that it can fail. `make test` runs a random sample of
{SAMPLE} points.

Most calls only look, or fail: what a kill leaves at the next one is then, byte for byte, what it left at this one.
Of such points one, drawn by the seed, is killed and judged, and the others are counted as `same state`. Any call that
is not known to change nothing counts as one that does, and while a file is mapped for writing every point counts by
itself (`tests/faults/strace.py`). The samples draw from all points.

"""
_ON_DRIVE = f"""
## On a simulated Drive

With `--on-drive` the store lies on the simulated mount, and the kills are those at every call on the store's side. After
a third of the kills the state is judged where it was killed; after a third the mount is taken away, with what was not
uploaded by then, and a machine that never saw the project goes on; after a third the workspace is still there. What was
not uploaded meets another fate at each point, so here Holdfast is killed at each. `make test` runs a random sample of
{SAMPLE_ON_DRIVE} points.

"""
_MADE = """
A torn manifest of nobody is what a kill in the middle of a manifest leaves: `verify` names it, and prune removes it later.

`.venv/bin/python -m tests.faults.sweep --results FILE`, with `--on-drive` too, and
`.venv/bin/python -m tests.faults.page FILE FILE WHERE > benchmarks/kill-sweep.md`, made this page.
"""


def _section(path: Path, where: str) -> str:
    kept = Kept(path, {})
    done = kept.sweep()
    about = kept.about
    ours = sum(len(points) for (_, tool, _), points in done.points.items() if tool is Tool.HOLDFAST)
    met = done.killed(Tool.HOLDFAST) + done.same(Tool.HOLDFAST)
    judged = "".join(f"- judged {text}: {count} points\n" for text, count in sorted(done.judged().items()))
    notes = "".join(f"- noted, and allowed: {text} ({count} points)\n" for text, count in sorted(done.notes().items()))
    return (
        f"{met:,} of {ours:,} points of Holdfast, Python {about['python']}, {where}, {kept.seconds / 60:.0f} minutes,\n"
        f"at commit {about['commit']}.\n\n{done.table()}\n\n{judged}{notes}"
    )


def main() -> None:
    plain, on_drive, where = sys.argv[1:]
    print(f"{_HEAD}{_section(Path(plain), where)}{_ON_DRIVE}{_section(Path(on_drive), where)}{_MADE}", end="")


if __name__ == "__main__":
    main()
