"""What many small files cost: counts of what is opened and compared, for each file more."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.store.copies.snapshot import Snapshot, Staged
from holdfast.store.deciding.content import plan_content
from holdfast.store.deciding.line import Line
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind
from holdfast.store.local.records import Signature
from holdfast.store.local.scan import Found

#: Counts what is opened in a process, by whether it is one of the files.
_COUNTING = """
import json, sys
from pathlib import Path
import holdfast
what, root, drive = sys.argv[1:]
opened = 0
def hook(event, args):
    global opened
    opened += event == "open" and isinstance(args[0], str) and "/file-" in args[0]
keeper = holdfast.attach(root=root, drive=drive, background=False)
sys.addaudithook(hook)
assert keeper.backup("outputs/run") if what == "backup" else keeper.ensure("outputs/run")
print(json.dumps(opened))
"""


def opened(what: str, root: Path, drive: Path) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _COUNTING, what, str(root), str(drive)], check=True, stdout=subprocess.PIPE, text=True
    )
    return int(json.loads(done.stdout))


@pytest.mark.parametrize("count", [40])
def test_a_small_file_is_opened_once_to_be_backed_up_and_once_to_come_back(tmp_path: Path, count: int) -> None:
    root, back, drive = tmp_path / "project", tmp_path / "fresh" / "project", tmp_path / "drive"
    drive.mkdir()
    back.mkdir(parents=True)
    (root / "outputs/run").mkdir(parents=True)
    for number in range(count):
        (root / f"outputs/run/file-{number}.bin").write_bytes(b"%d" % number)
    assert opened("backup", root, drive) == count
    assert opened("restore", back, drive) == count
    assert {p.name: p.read_bytes() for p in (back / "outputs/run").iterdir()} == {
        p.name: p.read_bytes() for p in (root / "outputs/run").iterdir()
    }


class _Counted(str):
    """A path that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        _Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def comparisons(count: int) -> int:
    """How often paths are compared to decide what a first generation of so many files holds."""
    paths = [_Counted(f"file-{number}") for number in range(count)]
    here = Signature(1, 1, 1, 1)
    spool = Path("spool.tar")
    staged = {p: Staged(p, 1, 0o644, "", False, None, None, here, 1, spool) for p in paths}
    snapshot = Snapshot(Key("outputs/run"), Kind.DIRECTORY, ("",), (), {p: Found(here, 0o644) for p in paths}, staged=staged)
    _Counted.compared = 0
    content = plan_content(
        snapshot, Line(None, None, adopted=False, others=(), sequence=1, fresh=False), {}, owned=(), lost_payloads=frozenset()
    )
    assert len(content.packed) == count
    return _Counted.compared


def test_deciding_what_a_generation_holds_grows_with_its_files_and_not_faster() -> None:
    assert comparisons(2000) < 3 * comparisons(1000) + 1000
