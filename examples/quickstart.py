"""The universal pattern: ensure, else make and back up. Then the machine vanishes, and a new one has everything again."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import holdfast

RESULT = "outputs/result.txt"


def start_machine(drive: Path) -> holdfast.Keeper:
    """A machine with an empty project of the same name; on Colab this is `holdfast.attach()` in the first cell."""
    root = Path(tempfile.mkdtemp(prefix="machine-"))
    (root / "config").mkdir()
    (root / "config" / "paths.yaml").write_text("drive:\n  backup_base_dir: quickstart\n", encoding="utf-8")
    return holdfast.attach(root=root, drive=drive)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--drive", type=Path, help="an existing folder that outlives the machine; default: a temporary one")
drive = parser.parse_args().drive or Path(tempfile.mkdtemp(prefix="drive-"))

first = start_machine(drive)
if not first.ensure(RESULT):  # the universal pattern
    (first.root / "outputs").mkdir()
    (first.root / RESULT).write_text("made once, by hours of work\n", encoding="utf-8")
    if not (backup := first.backup(RESULT, wait=60)):
        sys.exit(f"not backed up, so it stays here: {first.root / RESULT}")
    print(f"made and backed up {first.root / RESULT}; confirmed on the disk: {backup.confirmed}")
shutil.rmtree(first.root)
print(f"the machine vanished with {first.root}")

second = start_machine(drive)
print(f"on a new machine ensure says {second.ensure(RESULT).outcome.value}")
print(f"it holds: {second.require(RESULT).read_text(encoding='utf-8')!r}")
print(f"it is at {second.root / RESULT}, its backup below {drive / 'quickstart'}; damages found there: {second.verify()}")
