"""Who has a file mapped as shared is told for every process, or nothing is."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

from holdfast.store.copies.mappings import Mapped, shared_mappings
from tests.store.apart.far import ENVIRONMENT

NOBODY = """
import os, sys
from holdfast.store.copies.mappings import shared_mappings
if os.geteuid() == 0:
    os.setuid(65534)
sys.exit(shared_mappings() is not None)
"""


def everybodys() -> Mapped:
    """What every process has mapped. Who is not root sees its own only, as `NOBODY` shows, and there is nothing more to test."""
    return shared_mappings() or Mapped()


def test_a_shared_mapping_is_told_by_inode_and_by_path_until_it_is_gone(place: Path) -> None:
    file = place / "with a blank\nand more"
    file.write_bytes(bytes(5_000))
    inode = file.stat().st_ino
    for protection in (mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE):
        with file.open("r+b") as opened:
            mapping = mmap.mmap(opened.fileno(), 0, prot=protection)
        mapped = everybodys()
        if mapped != Mapped():
            assert mapped.holds(inode, file)
            assert mapped.holds(inode, "/elsewhere")
            assert mapped.holds(0, file)
        mapping.close()
        assert not everybodys().holds(inode, file)


def test_a_private_mapping_and_an_open_file_count_for_nothing(place: Path) -> None:
    file = place / "f"
    file.write_bytes(bytes(5_000))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), 0, flags=mmap.MAP_PRIVATE):
        assert not everybodys().holds(file.stat().st_ino, file)


def test_who_may_not_look_into_every_process_knows_nothing() -> None:
    subprocess.run([sys.executable, "-c", NOBODY], env=ENVIRONMENT, check=True)


def test_another_process_counts(place: Path) -> None:
    file = place / "f"
    file.write_bytes(bytes(5_000))
    code = "import mmap, sys; f = open(sys.argv[1], 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close(); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        mapped = everybodys()
        assert mapped.holds(file.stat().st_ino, file) or mapped == Mapped()
        other.communicate(b"\n")
    assert not everybodys().holds(file.stat().st_ino, os.fspath(file))
