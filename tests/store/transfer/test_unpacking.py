"""Small files out of a tar."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from holdfast.store.format.entries import FileRecord
from holdfast.store.transfer.unpacking import Unpacking

OLD = 1_000_000_000_123_456_789


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("mask", [0o022, 0o777])
def test_a_file_has_content_mode_and_time_of_its_record_whatever_the_mask_of_the_process(
    tmp_path: Path, mask: int, *, lasting: bool
) -> None:
    before = os.umask(mask)
    try:
        os.chmod(tmp_path, 0o700)
        (tmp_path / "a").mkdir()
        os.chmod(tmp_path / "a", 0o700)
        with contextlib.closing(Unpacking(tmp_path, lasting=lasting, early=1)) as unpacking:
            for mode in (0o400, 0o644, 0o777, 0o000):
                unpacking.put(f"{tmp_path}/a/{mode:o}", b"x" * mode, FileRecord("", mode, "", mode, tar="t", mtime_ns=OLD))
    finally:
        os.umask(before)
    for mode in (0o400, 0o644, 0o777, 0o000):
        found = os.lstat(tmp_path / f"a/{mode:o}")
        assert (found.st_mode & 0o777, found.st_mtime_ns, found.st_size) == (mode, OLD, mode)


def test_what_is_there_is_not_written_to_and_no_link_is_followed(tmp_path: Path) -> None:
    unpacking, record = Unpacking(tmp_path, lasting=True), FileRecord("", 1, "", 0o644, tar="t")
    (tmp_path / "there").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("there", "link"):
        with pytest.raises(FileExistsError):
            unpacking.put(f"{tmp_path}/{name}", b"x", record)
    assert (tmp_path / "there").read_bytes() == b"mine"
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_that_fails_while_files_are_made_is_not_forgotten(tmp_path: Path) -> None:
    unpacking = Unpacking(tmp_path / "gone", lasting=False, early=1)
    unpacking.put(f"{tmp_path}/a", b"x", FileRecord("", 1, "", 0o644, tar="t"))
    with pytest.raises(OSError, match="gone"):
        unpacking.close()
