"""A file that is replaced by another under its name is there at every moment, and no snapshot says otherwise."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.store.copies import capture
from holdfast.store.copies.snapshot import Known, Snapshot
from holdfast.store.copies.taking import take
from holdfast.store.local.workspace import Workspace

SIZE = 1_500_000
REPLACING = """
import os, sys
place, number = sys.argv[1], 0
while True:
    number += 1
    with open(f"{place}.{number}", "wb") as handle:
        handle.truncate(1_500_000)
        handle.write(b"%d" % number)
    os.rename(f"{place}.{number}", place)
    if number == 2:
        print("begun", flush=True)
"""


def snapshot(root: Path) -> Snapshot:
    workspace = Workspace(root)
    with workspace.lock():
        return take(workspace, workspace.key("outputs/run"), Known({}, {}), workspace.queue_folder())


def test_a_file_that_is_replaced_all_the_time_is_in_every_snapshot(tmp_path: Path) -> None:
    place = tmp_path / "outputs" / "run" / "model"
    place.parent.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", REPLACING, str(place)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            lacking = [number for number in range(60) if not snapshot(tmp_path).staged.keys() >= {"model"}]
        finally:
            writer.kill()
    assert lacking == []


@pytest.mark.parametrize("times", [1, 99], ids=["once", "always"])
def test_a_name_that_the_kernel_calls_missing_because_its_file_was_replaced_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """`link` fails so where the inode lost its name during the call, which nothing but chance brings about."""
    place = tmp_path / "outputs" / "run" / "model"
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(SIZE))
    real, seen = os.link, []

    def link(source: Path, target: Path, *, follow_symlinks: bool = True) -> None:
        if source != place:
            return real(source, target, follow_symlinks=follow_symlinks)
        seen.append(source)
        if len(seen) <= times:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source), None, str(target))
        return real(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", link)
    assert snapshot(tmp_path).staged["model"].size == SIZE
    assert seen


def test_what_is_replaced_faster_than_it_can_be_read_is_named_and_what_is_gone_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "outputs" / "run"
    folder.mkdir(parents=True)
    (folder / "there").write_bytes(b"1")
    (folder / "gone").write_bytes(b"1")
    real: Callable[[int, int], bytes] = capture.read_first

    def read(descriptor: int, most: int) -> bytes:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("gone"):
            (folder / "gone").unlink(missing_ok=True)
        raise FileNotFoundError(errno.ENOENT, "no such file")

    monkeypatch.setattr(capture, "read_first", read)
    taken = snapshot(tmp_path)
    assert taken.refused == {"there": "is replaced faster than it can be read"}
    assert "gone" not in taken.found
    monkeypatch.setattr(capture, "read_first", real)
    assert snapshot(tmp_path).staged.keys() == {"there"}
