"""Sparse files: a tar that three tools unpack, the same for the same content, and that our own reader takes in no other form."""

from __future__ import annotations

import io
import itertools
import math
import mmap
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.errors import Corrupt, CutOff, HoldfastError, UsageError
from holdfast.store.format.holes import Region, Shrunk, TooManyRegions, has_holes, is_sparse, survey
from holdfast.store.format.sparse import archive, archive_length, digest
from holdfast.store.format.sparse_reading import check, unpack

MIB = 1 << 20
GIB = 1 << 30
NAME = "data.mdb"
MODE = 0o640
MTIME = 1795869123_123456789
Data = Mapping[int, bytes]


def lay(place: Path, size: int, data: Data) -> Path:
    """A file with holes wherever no data is given."""
    with open(place, "xb") as handle:
        for offset, content in data.items():
            handle.seek(offset)
            handle.write(content)
        handle.truncate(size)
    return place


def noise(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


@dataclass(frozen=True)
class Packed:
    """A file's regions, its tar, and the digest of the stored data."""

    regions: tuple[Region, ...]
    tar: bytes
    digest: str


def pack(place: Path, name: str = NAME, mtime_ns: int = MTIME) -> Packed:
    with open(place, "rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        regions = survey(handle.fileno(), size)
        stored = blake3()
        chunks = list(archive(handle.fileno(), size, regions, name=name, mode=MODE, mtime_ns=mtime_ns, stored=stored))
        assert all(0 < len(chunk) <= MIB for chunk in chunks)
        assert sum(map(len, chunks)) == archive_length(size, regions, name=name, mtime_ns=mtime_ns)
        found = digest(handle.fileno(), size, regions)
    assert stored.hexdigest() == found
    return Packed(regions, b"".join(chunks), found)


def extents(handle: io.BufferedReader, size: int) -> Iterator[tuple[int, int]]:
    at = 0
    while at < size:
        try:
            start = os.lseek(handle.fileno(), at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(handle.fileno(), start, os.SEEK_HOLE)
        yield start, at


def same_bytes(one: Path, other: Path) -> bool:
    """Byte for byte. What neither file has data for reads as zeros in both, so that terabytes are compared as well."""
    size = one.stat().st_size
    if other.stat().st_size != size:
        return False
    with open(one, "rb") as a, open(other, "rb") as b:
        for start, end in [*extents(a, size), *extents(b, size)]:
            if os.pread(a.fileno(), end - start, start) != os.pread(b.fileno(), end - start, start):
                return False
    return True


def by_us(tar: Path, folder: Path, size: int) -> None:
    with open(tar, "rb") as source, open(folder / tar.stem, "xb") as target:
        unpack(iter(lambda: source.read(1000), b""), target, size)


def by_tool(tool: str) -> Callable[[Path, Path, int], None]:
    def run(tar: Path, folder: Path, size: int) -> None:
        done = subprocess.run(
            [tool, "-xf", str(tar)],
            cwd=folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        said = [line for line in done.stderr.splitlines() if "implausibly old" not in line and "in the future" not in line]
        assert (done.returncode, said) == (0, [])

    return run


def by_tarfile(mode: str) -> Callable[[Path, Path, int], None]:
    def run(tar: Path, folder: Path, size: int) -> None:
        with open(tar, "rb") as handle, tarfile.open(fileobj=handle, mode=mode) as opened:
            opened.extractall(folder, filter="data")

    return run


UNPACKERS = {
    "tar": by_tool("tar"),
    "bsdtar": by_tool("bsdtar"),
    "tarfile": by_tarfile("r:"),
    "tarfile, a stream": by_tarfile("r|"),
    "us": by_us,
}

FILES: dict[str, tuple[int, Data]] = {
    "hole at the start": (3 * MIB, {2 * MIB: noise(MIB)}),
    "hole in the middle": (5 * MIB, {0: noise(5000), 4 * MIB: noise(MIB, 2)}),
    "hole at the end": (4 * MIB, {0: noise(70_000)}),
    "nothing but a hole": (4 * MIB, {}),
    "a size that is odd, data at the end": (3 * MIB + 777, {3 * MIB + 700: b"x" * 77}),
    "a size that is odd, hole at the end": (3 * MIB + 777, {8191: b"x"}),
    "a last block of one byte": (3 * MIB + 1, {3 * MIB: b"x"}),
    "short holes, which are stored": (3 * MIB, {n * 65_536: b"x" for n in range(20)}),
    "5,000 holes": (5000 * 69_632, {n * 69_632: b"%d" % n for n in range(5000)}),
    "over 8 GiB": (9 * GIB + 5, {8 * GIB - 100: noise(200), 9 * GIB: b"abcde"}),
    "no bytes": (0, {}),
}

NAMES = ["n" * 155 + ".mdb", "n" * 255, "ü" * 127 + "n", "数据 ümlaut.mdb", "-rf", "a=b\n22 mtime=1.mdb", "a\\'\"$x"]


def unpacked(tar: bytes, name: str, folder: Path, size: int, how: Callable[[Path, Path, int], None]) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    place = folder.with_name(name[:60] + ".tar") if how is not by_us else folder.with_name(f"{name}.tar"[-255:])
    place.write_bytes(tar)
    how(place, folder, size)
    place.unlink()
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize("kind", FILES)
def test_every_tool_brings_back_the_bytes_and_the_holes(kind: str, tmp_path: Path) -> None:
    size, data = FILES[kind]
    source = lay(tmp_path / "source", size, data)
    packed = pack(source)
    stored = sum(region.length for region in packed.regions)
    for tool, how in UNPACKERS.items():
        found = unpacked(packed.tar, NAME, tmp_path / "out", size, how)
        assert found.name == NAME, tool
        assert same_bytes(source, found), tool
        taken = found.stat()
        assert taken.st_blocks * 512 <= stored + 128 * 1024, tool  # and what the file system needs to know where it lies
        if how is not by_us:
            assert taken.st_mode & 0o777 == (0o640 if "tarfile" not in tool else taken.st_mode & 0o777), tool
            assert abs(taken.st_mtime_ns - MTIME) <= (1000 if "tarfile" in tool else 0), tool  # tarfile's time is a float
    assert check([packed.tar], size) == packed.digest


@pytest.mark.parametrize("name", NAMES)
def test_every_tool_takes_any_name(name: str, tmp_path: Path) -> None:
    source = lay(tmp_path / "source", 3 * MIB, {MIB: b"x" * 5000})
    packed = pack(source, name)
    assert check([packed.tar], 3 * MIB) == packed.digest
    for tool in ("tar", "bsdtar", "tarfile", "tarfile, a stream"):
        found = unpacked(packed.tar, "any", tmp_path / "out", 3 * MIB, UNPACKERS[tool])
        assert found.name == name, tool
        assert same_bytes(source, found), tool


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "n" * 256, "a\0b", "\udcff"])
def test_a_name_that_is_none_is_not_packed(name: str) -> None:
    with pytest.raises(UsageError):
        archive(0, 0, (), name=name, mode=0o644, mtime_ns=0)


TIMES = [0, 1, 999_999_999, MTIME, 8**11 * 10**9, 9_999_999_999_000_000_001, -(10**9), -1, -250_000_000, -2_000_000_000_100_000_000]


@pytest.mark.parametrize("mtime_ns", TIMES)
def test_times_are_exact_to_the_nanosecond_in_every_tool_that_knows_it(mtime_ns: int, tmp_path: Path) -> None:
    source = lay(tmp_path / "source", 2 * MIB, {})
    packed = pack(source, mtime_ns=mtime_ns)
    assert check([packed.tar], 2 * MIB) == packed.digest
    with tarfile.open(fileobj=io.BytesIO(packed.tar)) as opened:
        (member,) = opened.getmembers()
    sign, text = mtime_ns < 0, member.pax_headers["mtime"]
    whole, rest = text.removeprefix("-").split(".")
    assert (text.startswith("-"), int(whole) * 10**9 + int(rest)) == (sign, abs(mtime_ns))
    held = tmp_path / "held"
    held.touch()
    os.utime(held, ns=(mtime_ns, mtime_ns))
    expected = held.stat().st_mtime_ns  # file systems end somewhere, and here they end alike
    for tool in ("tar", "bsdtar"):
        if tool == "bsdtar" and sign and mtime_ns % 10**9:
            continue  # it adds the fraction (libarchive 3.6.2)
        assert unpacked(packed.tar, NAME, tmp_path / "out", 2 * MIB, UNPACKERS[tool]).stat().st_mtime_ns == expected, tool


def test_more_than_8_gib_of_stored_data_are_announced_rightly(tmp_path: Path) -> None:
    """What comes behind the member is found by every tool. The data itself are holes of the tar."""
    regions = (Region(0, 9 * GIB), Region(20 * GIB, 4096))
    size = 21 * GIB
    source = lay(tmp_path / "source", size, {})
    tar = tmp_path / "large.tar"
    length = archive_length(size, regions, name=NAME, mtime_ns=MTIME)
    with open(source, "rb") as handle, open(tar, "xb") as target:
        target.write(next(archive(handle.fileno(), size, regions, name=NAME, mode=MODE, mtime_ns=MTIME)))
        target.seek(length - 1024)
        with tarfile.open(fileobj=target, mode="w") as behind:
            behind.addfile(tarfile.TarInfo("behind"))
    assert length > 9 * GIB
    for command in (["tar", "-tf"], ["bsdtar", "-tf"]):
        done = subprocess.run([*command, str(tar)], check=True, capture_output=True, text=True, timeout=60)
        assert (done.stdout.split(), done.stderr) == ([NAME, "behind"], ""), command
    with tarfile.open(tar) as opened:
        assert [(m.name, m.size) for m in opened] == [(NAME, size), ("behind", 0)]


def test_the_same_content_gives_the_same_tar_however_its_holes_are_laid_out(tmp_path: Path) -> None:
    source = lay(
        tmp_path / "source", 6 * MIB + 99, {5000: noise(9000), 2 * MIB: bytes(300_000) + b"x" + bytes(300_000), 5 * MIB: b"x"}
    )
    packed = pack(source)
    made = {}
    for kind in ("never", "always", "auto"):
        made[kind] = tmp_path / kind
        subprocess.run(["cp", f"--sparse={kind}", str(source), str(made[kind])], check=True, timeout=60)
    made["in place of zeros"] = lay(tmp_path / "reserved", 6 * MIB + 99, {})
    with open(made["in place of zeros"], "r+b") as handle:
        os.posix_fallocate(handle.fileno(), 0, 6 * MIB + 99)
        handle.write(source.read_bytes())
    assert made["never"].stat().st_blocks > source.stat().st_blocks > made["always"].stat().st_blocks
    for kind, place in made.items():
        assert pack(place) == packed, kind
    assert packed.digest != pack(lay(tmp_path / "longer", 6 * MIB + 100, {0: source.read_bytes()})).digest


def test_a_file_is_sparse_from_more_than_1_mib_of_holes_on(tmp_path: Path) -> None:
    for size, expected in ((MIB, False), (MIB + 1, True), (0, False)):
        place = lay(tmp_path / str(size), size, {})
        assert is_sparse(place.stat()) is expected
        with open(place, "rb") as handle:
            assert has_holes(size, survey(handle.fileno(), size)) is expected
    dense = lay(tmp_path / "dense", 2 * MIB, {0: bytes(2 * MIB)})
    assert not is_sparse(dense.stat())
    assert has_holes(2 * MIB, ())


def test_terabytes_of_holes_cost_nothing(tmp_path: Path) -> None:
    size = 10 << 40
    source = lay(tmp_path / "source", size, {5 << 40: noise(MIB)})
    packed = pack(source)
    assert packed.regions == (Region(5 << 40, MIB),)
    found = unpacked(packed.tar, NAME, tmp_path / "out", size, by_us)
    assert same_bytes(source, found)
    assert found.stat().st_blocks * 512 <= MIB + 65_536


def test_what_was_written_through_a_mapping_is_data_before_it_is_on_the_disk(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", 8 * MIB, {})
    with open(source, "r+b") as handle, mmap.mmap(handle.fileno(), 8 * MIB) as mapped:
        mapped[5 * MIB] = 7
        assert survey(handle.fileno(), 8 * MIB) == (Region(5 * MIB, 4096),)


def test_more_regions_than_a_map_may_hold_are_refused(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", 8 * MIB, {n * MIB: b"x" for n in range(5)})
    with open(source, "rb") as handle:
        assert len(survey(handle.fileno(), 8 * MIB, most=5)) == 5
        with pytest.raises(TooManyRegions, match="more than 4 pieces"):
            survey(handle.fileno(), 8 * MIB, most=4)


def test_a_file_that_became_shorter_is_not_filled_up(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", 3 * MIB, {2 * MIB: noise(MIB)})
    with open(source, "r+b") as handle:
        regions = survey(handle.fileno(), 3 * MIB)
        handle.truncate(2 * MIB + 5000)
        with pytest.raises(Shrunk):
            digest(handle.fileno(), 3 * MIB, regions)
        with pytest.raises(Shrunk):
            list(archive(handle.fileno(), 3 * MIB, regions, name=NAME, mode=MODE, mtime_ns=0))


# Tars that are not ours. `Forged` makes every part by itself, so it also holds that ours are what we say they are.

SIZE = 2 * MIB
FIRST, SECOND = noise(8192, 3), noise(4096, 4)
MAP = "3\n4096\n8192\n1048576\n4096\n2097152\n0\n"


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = next(n for n in itertools.count(len(body)) if n == len(str(n)) + len(body))
    return str(length).encode() + body


@dataclass(frozen=True)
class Forged:
    """A tar of a sparse file, right unless something else is asked for."""

    map: str = MAP
    map_padding: bytes | None = None
    data: bytes = FIRST + SECOND
    name: str = NAME
    realsize: str = str(SIZE)
    mtime: str = "1795869123.123456789"
    more_pax: bytes = b""
    pax_length: int | None = None
    pax_kind: bytes = b"x"
    kind: bytes = b"0"
    length: int | None = None
    checksum: int = 0
    link: bytes = b""
    user: bytes = b""
    padding: bytes | None = None
    end: bytes = bytes(1024)

    def header(self, name: str, kind: bytes, mode: int, length: int, time: int, **fields: bytes) -> bytes:
        block = bytearray(512)

        def put(at: int, value: bytes) -> None:
            block[at : at + len(value)] = value

        put(0, name.encode())
        for at, number in ((100, mode), (108, 0), (116, 0), (329, 0), (337, 0)):
            put(at, b"%07o\0" % number)
        put(124, b"%011o\0" % length)
        put(136, b"%011o\0" % time)
        put(148, b" " * 8)
        put(156, kind)
        put(157, fields.get("link", b""))
        put(257, b"ustar\x0000")
        put(265, fields.get("user", b""))
        put(148, b"%06o\0 " % (sum(block) + self.checksum))
        return bytes(block)

    def __bytes__(self) -> bytes:
        said = {"major": "1", "minor": "0", "name": self.name, "realsize": self.realsize}
        pax = b"".join(record(f"GNU.sparse.{k}", v) for k, v in said.items()) + record("mtime", self.mtime) + self.more_pax
        lines = self.map.encode()
        lines += bytes(-len(lines) % 512) if self.map_padding is None else self.map_padding
        pax_length = len(pax) if self.pax_length is None else self.pax_length
        length = len(lines) + len(self.data)
        return b"".join(
            (
                self.header(f"PaxHeaders/{NAME}", self.pax_kind, 0o644, pax_length, 0),
                pax.ljust(math.ceil(len(pax) / 512) * 512, b"\0"),
                self.header(
                    f"GNUSparseFile.0/{NAME}",
                    self.kind,
                    MODE,
                    length if self.length is None else self.length,
                    int(self.mtime.partition(".")[0]),
                    link=self.link,
                    user=self.user,
                ),
                lines,
                self.data,
                bytes(-length % 512) if self.padding is None else self.padding,
                self.end,
            )
        )


RIGHT = Forged()


def plain_tar(**fields: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo(NAME)
        for key, value in fields.items():
            setattr(member, key, value)
        tar.addfile(member, io.BytesIO(bytes(member.size)))
    return made.getvalue()


def test_ours_is_the_tar_that_we_say_it_is(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", SIZE, {4096: FIRST, MIB: SECOND})
    packed = pack(source)
    assert packed.regions == (Region(4096, 8192), Region(MIB, 4096))
    assert packed.tar == bytes(RIGHT)
    assert packed.digest == blake3(MAP.encode().ljust(512, b"\0") + FIRST + SECOND).hexdigest() == check([packed.tar], SIZE)


TAMPERED: dict[str, bytes] = {
    "nothing": b"",
    "zeros": bytes(10_240),
    "no tar at all": noise(10_240),
    "a tar of a plain file": plain_tar(size=5000),
    "a tar of a link": plain_tar(type=tarfile.SYMTYPE, linkname="/etc/passwd"),
    "a tar of a plain file with a pax header": plain_tar(size=5000, pax_headers={"mtime": "1.5"}),
    "cut in the pax header": bytes(RIGHT)[:600],
    "cut in the map": bytes(RIGHT)[:1700],
    "cut in the data": bytes(RIGHT)[:9000],
    "one block of zeros missing": bytes(replace(RIGHT, end=bytes(512))),
    "a block of zeros too many": bytes(replace(RIGHT, end=bytes(1536))),
    "a byte behind the end": bytes(RIGHT) + b"x",
    "an end that is not zeros": bytes(replace(RIGHT, end=bytes(1000) + b"x" + bytes(23))),
    "two members": bytes(RIGHT)[:-1024] + bytes(RIGHT),
    "a plain member behind it": bytes(RIGHT)[:-1024] + plain_tar(size=5),
    "a map with more padding": bytes(replace(RIGHT, map_padding=bytes(-len(MAP) % 512 + 512))),
    "padding of the map that is not zeros": bytes(replace(RIGHT, map_padding=b"x".rjust(-len(MAP) % 512, b"\0"))),
    "padding of the data that is not zeros": bytes(replace(RIGHT, data=FIRST + SECOND[:-1], padding=b"x")),
    "less data than the map says": bytes(replace(RIGHT, data=FIRST)),
    "more data than the map says": bytes(replace(RIGHT, data=FIRST + SECOND + bytes(512))),
    "a size of the member that is too small": bytes(replace(RIGHT, length=512 + 8192)),
    "a size of the member that is too large": bytes(replace(RIGHT, length=1 << 32)),
    "another size of the file": bytes(replace(RIGHT, realsize="2097153")),
    "a size of the file that is none": bytes(replace(RIGHT, realsize="2e6")),
    "a size of the file with a zero in front": bytes(replace(RIGHT, realsize="02097152")),
    "a name that is a path": bytes(replace(RIGHT, name="../data.mdb")),
    "a name that is another than in the header": bytes(replace(RIGHT, name="data.mdc")),
    "a name of dots": bytes(replace(RIGHT, name="..")),
    "a time that is another than in the header": bytes(RIGHT).replace(b"mtime=17958", b"mtime=17959"),
    "a time that is zero and negative": bytes(replace(RIGHT, mtime="-0.000000000")),
    "a time in other digits": bytes(replace(RIGHT, mtime="1795869123.12345678")),
    "a pax header with one key more": bytes(replace(RIGHT, more_pax=record("path", "/etc/passwd"))),
    "a pax header with a size": bytes(replace(RIGHT, more_pax=record("size", "12800"))),
    "a pax header with a key twice": bytes(replace(RIGHT, more_pax=record("GNU.sparse.realsize", str(SIZE)))),
    "a pax header of 8 GiB": bytes(replace(RIGHT, pax_length=8**11 - 1)),
    "a pax header that is too short": bytes(replace(RIGHT, pax_length=100)),
    "a pax header for all that follows": bytes(replace(RIGHT, pax_kind=b"g")),
    "a member that is a link": bytes(replace(RIGHT, kind=b"2", link=b"/etc/passwd")),
    "a member that is a folder": bytes(replace(RIGHT, kind=b"5")),
    "a member with a user": bytes(replace(RIGHT, user=b"root")),
    "a wrong checksum": bytes(replace(RIGHT, checksum=1)),
    "regions in another order": bytes(replace(RIGHT, map="3\n1048576\n4096\n4096\n8192\n2097152\n0\n")),
    "regions that overlap": bytes(replace(RIGHT, map="3\n4096\n8192\n8192\n4096\n2097152\n0\n")),
    "a region twice": bytes(replace(RIGHT, map="3\n4096\n8192\n4096\n8192\n2097152\n0\n", data=FIRST * 2)),
    "regions that touch": bytes(replace(RIGHT, map="3\n4096\n8192\n12288\n4096\n2097152\n0\n")),
    "a hole that is too short": bytes(replace(RIGHT, map="3\n4096\n8192\n73728\n4096\n2097152\n0\n")),
    "a region beyond the end": bytes(replace(RIGHT, map="2\n4096\n8192\n2097152\n4096\n", realsize=str(SIZE))),
    "a region across the end": bytes(replace(RIGHT, map="2\n4096\n8192\n2093056\n8192\n", data=FIRST + FIRST)),
    "a region far beyond the end": bytes(replace(RIGHT, map="2\n4096\n8192\n9007199254740992\n4096\n")),
    "a region without bytes": bytes(replace(RIGHT, map="4\n4096\n8192\n1048576\n4096\n1572864\n0\n2097152\n0\n")),
    "a region that is not of blocks": bytes(
        replace(RIGHT, map="3\n4096\n8192\n1048576\n4095\n2097152\n0\n", data=FIRST + SECOND[:-1])
    ),
    "a region that begins in a block": bytes(replace(RIGHT, map="3\n4096\n8192\n1048577\n4096\n2097152\n0\n")),
    "no region at the end": bytes(replace(RIGHT, map="2\n4096\n8192\n1048576\n4096\n")),
    "a region at the end and data there": bytes(replace(RIGHT, map="3\n4096\n8192\n2093056\n4096\n2097152\n0\n")),
    "a region at the end twice": bytes(replace(RIGHT, map="4\n4096\n8192\n1048576\n4096\n2097152\n0\n2097152\n0\n")),
    "a map with more lines than it says": bytes(replace(RIGHT, map=MAP + "0\n")),
    "a map with fewer lines than it says": bytes(replace(RIGHT, map="4\n4096\n8192\n1048576\n4096\n2097152\n0\n")),
    "a map of nothing": bytes(replace(RIGHT, map="0\n", data=b"")),
    "a map of a billion regions": bytes(replace(RIGHT, map="1000000000\n" + MAP[2:])),
    "a map with a number that does not end": bytes(replace(RIGHT, map="3\n" + "4" * 5000)),
    "a map with a number below zero": bytes(replace(RIGHT, map=MAP.replace("\n4096\n8192", "\n-4096\n8192"))),
    "a map with a zero in front": bytes(replace(RIGHT, map=MAP.replace("\n4096\n8192", "\n04096\n8192"))),
    "a map with a space": bytes(replace(RIGHT, map=MAP.replace("\n4096\n8192", "\n 4096\n8192"))),
    "a map with digits that are not ASCII": bytes(replace(RIGHT, map=MAP.replace("\n8192", "\n\u0668\u0661\u0669\u0662"))),
    "a map with an empty line": bytes(replace(RIGHT, map="3\n\n4096\n8192\n1048576\n4096\n2097152\n0\n")),
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_what_we_would_not_have_written_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    tar = TAMPERED[kind]
    chunks = [tar[at : at + 700] for at in range(0, len(tar), 700)]
    with pytest.raises(Corrupt, match=r"sparse file") as checked:
        check(chunks, SIZE)
    with open(tmp_path / "target", "xb") as target, pytest.raises(type(checked.value)) as written:
        unpack(chunks, target, SIZE)
    assert str(written.value) == str(checked.value)
    assert str(checked.value).isprintable()
    assert len(str(checked.value)) < 200
    assert (tmp_path / "target").stat().st_size <= SIZE
    assert isinstance(checked.value, CutOff) == ("cut off" in str(checked.value))


@pytest.mark.parametrize("sparse_version", ["0.0", "0.1", "1.0"])
def test_the_sparse_tars_of_others_are_refused(sparse_version: str, tmp_path: Path) -> None:
    lay(tmp_path / NAME, SIZE, {4096: FIRST, MIB: SECOND})
    command = ["tar", "-cSf", "other.tar", "--format=pax", f"--sparse-version={sparse_version}", NAME]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
    with pytest.raises(Corrupt):
        check([(tmp_path / "other.tar").read_bytes()], SIZE)


def test_a_tar_that_was_cut_anywhere_is_known_to_be_cut_off() -> None:
    tar = bytes(RIGHT)
    for length in range(0, len(tar), 61):
        with pytest.raises(CutOff, match=f"cut off after {length} bytes"):
            check([tar[:length]], SIZE)


def test_no_more_is_read_of_an_endless_stream_than_can_be_right() -> None:
    taken = 0

    def endless(beginning: bytes, then: bytes) -> Iterator[bytes]:
        nonlocal taken
        for chunk in itertools.chain([beginning], itertools.repeat(then)):
            taken += len(chunk)
            yield chunk

    before_map = bytes(RIGHT)[:1536]
    for beginning, then in (
        (b"", bytes(512)),
        (b"", b"1" * 512),
        (bytes(replace(RIGHT, pax_length=8**11 - 1))[:512], b"1" * 512),
        (before_map, b"1" * 512),
        (before_map, b"\n" * 512),
        (before_map + b"1000001\n", b"4096\n4096\n"),
        (bytes(RIGHT), bytes(512)),
    ):
        taken = 0
        with pytest.raises(Corrupt):
            check(endless(beginning, then), SIZE)
        assert taken <= len(beginning) + 8192


def test_a_flipped_bit_is_refused_or_changes_the_digest_except_in_name_and_time(seeded: Callable[[int], random.Random]) -> None:
    """What the tar says of the file's name and time is compared with its headers, which hold less: no fraction of a second, and of
    the name the first 80 characters in ASCII. The rest of both is covered by the caller's hash of the whole tar alone."""
    rng = seeded(20261128)
    right = bytes(replace(RIGHT, name="dätä.mdb"))
    right = right.replace(f"GNUSparseFile.0/{NAME}".encode(), b"GNUSparseFile.0/d_t_.mdb").replace(NAME.encode(), b"d_t_.mdb")
    right = summed(summed(right, 0), 1024)
    expected = check([right], SIZE)
    name = range(right.index("dätä".encode()), right.index(b"mdb\n"))
    rest = range(right.index(b".123456789") + 1, right.index(b".123456789") + 10)
    found = {"refused": 0, "digest": 0, "only the whole": 0}
    for number in range(6000):
        at = rng.randrange(2048 if number % 2 else len(right))
        flipped = bytearray(right)
        flipped[at] ^= 1 << rng.randrange(8)
        try:
            told = check([bytes(flipped)], SIZE)
        except Corrupt:
            found["refused"] += 1
            continue
        found["digest" if told != expected else "only the whole"] += 1
        assert told != expected or at in name or at in rest, at
    assert all(found.values()), found


def summed(tar: bytes, at: int) -> bytes:
    """With the right checksum in the header there."""
    block = tar[at : at + 148] + b" " * 8 + tar[at + 156 : at + 512]
    return tar[: at + 148] + b"%06o\0 " % sum(block) + tar[at + 156 :]


# Any content


def plainly(content: bytes) -> tuple[Region, ...]:
    """Where content is not zero, by the words of the promise."""
    blocks = [at for at in range(0, len(content), 4096) if any(content[at : at + 4096])]
    found: list[Region] = []
    for at in blocks:
        end = min(at + 4096, len(content))
        if found and at - found[-1].end < 65_536:
            found[-1] = Region(found[-1].offset, end - found[-1].offset)
        else:
            found.append(Region(at, end - at))
    return tuple(found)


def cut(tar: bytes, lengths: Iterable[int]) -> Iterator[bytes]:
    at = 0
    for length in itertools.cycle(lengths):
        yield tar[at : at + length]
        at += length
        if at >= len(tar):
            return


pieces = st.tuples(st.integers(0, 700_000), st.integers(1, 40_000), st.integers(0, 255))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 700_000), st.lists(pieces, max_size=12), st.lists(st.integers(0, 50_000), min_size=1, max_size=5).filter(any))
def test_any_content_comes_back_and_is_described_by_its_bytes_alone(
    size: int, data: list[tuple[int, int, int]], lengths: list[int]
) -> None:
    content = bytearray(size)
    with tempfile.TemporaryFile() as sparse, tempfile.TemporaryFile() as dense:
        for offset, length, value in data:
            some = bytes([value]) * max(0, min(length, size - offset))
            content[offset : offset + len(some)] = some
            sparse.seek(offset)
            sparse.write(some)
        sparse.truncate(size)
        dense.write(content)
        sparse.flush()
        dense.flush()
        regions = survey(sparse.fileno(), size)
        assert regions == survey(dense.fileno(), size) == plainly(content)
        tar = b"".join(archive(sparse.fileno(), size, regions, name=NAME, mode=MODE, mtime_ns=MTIME))
        told = digest(dense.fileno(), size, regions)
    assert len(tar) == archive_length(size, regions, name=NAME, mtime_ns=MTIME)
    target = io.BytesIO()
    try:
        assert unpack(cut(tar, lengths), target, size) == told == check([tar], size)
    except HoldfastError as error:
        raise AssertionError(str(error)) from error
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        member = opened.extractfile(NAME)
        assert member is not None
        assert member.read() == content
    assert target.getvalue().ljust(size, b"\0") == content
