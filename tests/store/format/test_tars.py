"""Tars of small files: any tool opens them, and what no such tool made is read as carefully as by one."""

from __future__ import annotations

import io
import random
import subprocess
import tarfile
from pathlib import Path

import pytest

from holdfast.errors import Corrupt
from holdfast.store.format.tars import TarWriter, hash_members, read_members

HOUR = 1_795_869_123
NAMES = (
    "a",
    "folder/file.bin",
    "x" * 100,
    "x" * 101,
    "f" * 60 + "/" + "g" * 60,
    "é/ü.txt",
    "tab\tand\nline",
    "a b",
    "-rf",
    "end ",
    "\\",
    "*",
)


def members() -> dict[str, tuple[bytes, int, int]]:
    """Data, mode and time by name."""
    drawn = random.Random(1)
    sizes = (0, 1, 511, 512, 513, 1024, 10_240, 70_000)
    times = (0, 1, HOUR, 8**11 - 1, 8**11, -1)
    return {
        name: (drawn.randbytes(drawn.choice(sizes)), drawn.choice((0o600, 0o644, 0o777, 0)), drawn.choice(times)) for name in NAMES
    }


def written(place: Path) -> Path:
    with TarWriter(place) as writer:
        for name, (data, mode, time) in members().items():
            writer.add(name, data, mode, time * 10**9 + 123)
    return place


def by_tarfile() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (data, mode, time) in members().items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), mode, time
            tar.addfile(member, io.BytesIO(data))
    return made.getvalue()


def test_a_tar_is_what_tarfile_makes_of_the_same_files_byte_for_byte(tmp_path: Path) -> None:
    assert written(tmp_path / "ours.tar").read_bytes() == by_tarfile()


def test_an_empty_tar_is_one(tmp_path: Path) -> None:
    place = TarWriter(tmp_path / "empty.tar").close()
    assert place.stat().st_size == tarfile.RECORDSIZE
    assert list(read_members(place, {})) == []


def test_gnu_tar_unpacks_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", written(tmp_path / "ours.tar"), "-C", out], check=True)
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == {*NAMES}


def test_every_member_is_read_back(tmp_path: Path) -> None:
    place = written(tmp_path / "ours.tar")
    wanted = {name: len(data) for name, (data, _, _) in members().items()}
    assert dict(read_members(place, wanted)) == {name: data for name, (data, _, _) in members().items()}
    with place.open("rb") as handle:
        assert hash_members(handle).keys() == wanted.keys()


def test_members_that_other_tools_made_are_read_as_well(tmp_path: Path) -> None:
    place = tmp_path / "other.tar"
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(place, "w", format=form) as tar:
            for number in range(3):
                member = tarfile.TarInfo(f"file-{number}")
                member.size, member.uid, member.uname = 5, 1000 * number, "someone" * (number % 2)
                tar.addfile(member, io.BytesIO(b"%05d" % number))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        assert dict(read_members(place, {f"file-{n}": 5 for n in range(3)})) == {f"file-{n}": b"%05d" % n for n in range(3)}
        with pytest.raises(Corrupt, match="link is missing"):
            list(read_members(place, {"link": 0}))


def test_a_member_of_another_length_or_a_second_one_of_its_name_is_not_taken(tmp_path: Path) -> None:
    place = tmp_path / "twice.tar"
    with TarWriter(place) as writer:
        writer.add("a", b"first", 0o644, 0)
        writer.add("a", b"again", 0o644, 0)
    assert list(read_members(place, {"a": 5})) == [("a", b"first")]
    with pytest.raises(Corrupt, match="a is missing"):
        list(read_members(place, {"a": 4}))


def test_of_a_tar_with_any_byte_of_a_header_changed_no_other_file_comes(tmp_path: Path) -> None:
    place = tmp_path / "rotten.tar"
    with TarWriter(place) as writer:
        for name in ("one", "two", "three"):
            writer.add(name, name.encode(), 0o644, HOUR * 10**9)
    sound, drawn = place.read_bytes(), random.Random(2)
    for at in range(2 * 1024):
        rotten = bytearray(sound)
        rotten[at] ^= 1 << drawn.randrange(8)
        place.write_bytes(rotten)
        with place.open("rb") as handle:
            try:
                found = hash_members(handle)
            except Corrupt:
                continue
        assert found.keys() <= {"one", "two", "three"}, at
        assert all(length == len(name) for name, (length, _) in found.items()), at


def test_a_tar_that_is_cut_off_anywhere_gives_whole_members_or_an_error(tmp_path: Path) -> None:
    place = written(tmp_path / "cut.tar")
    whole, held = place.read_bytes(), {name: data for name, (data, _, _) in members().items()}
    wanted = {name: len(data) for name, data in held.items()}
    for length in range(0, len(whole), 509):
        place.write_bytes(whole[:length])
        came = []
        try:
            came += read_members(place, wanted)
        except Corrupt:
            assert len(came) < len(held)
        assert all(held[name] == data for name, data in came)
