"""Of a file that grows, what was whole at one look is read by its own library, and nothing whole is cut away."""

from __future__ import annotations

import json
import random
import struct
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from holdfast.store.live.kinds import KINDS, Treatment, recognise
from holdfast.store.live.torn import torn, whole_prefix
from tests.store.live.content import Held

GROWING = {kind.name for kind in KINDS if kind.treatment is Treatment.PREFIX}
GOOD_AS_FAR_AS_THEY_WENT = {"gzip", "xz", "bzip2", "zstd", "log"}


def prefix(name: str, data: bytes, length: int | None = None) -> bytes:
    content = Held(data)
    kind = recognise(name, content)
    assert kind is not None
    return data[: whole_prefix(kind, content, len(data) if length is None else length)]


def test_nothing_is_cut_from_a_whole_file(made: dict[str, tuple[str, Path]]) -> None:
    for name, (kind, path) in made.items():
        if kind in GROWING:
            assert prefix(name, path.read_bytes()) == path.read_bytes(), name


def test_a_prefix_is_the_longest_that_is_whole_and_what_comes_behind_does_not_matter(made: dict[str, tuple[str, Path]]) -> None:
    rng = random.Random(20261128)
    for name, (kind, path) in made.items():
        if kind not in GROWING:
            continue
        whole = path.read_bytes()
        for cut in sorted(rng.randrange(300, len(whole)) for _ in range(8)) if len(whole) > 300 else ():
            found = prefix(name, whole, cut)
            assert found == prefix(name, whole[:cut]), name
            assert not found or found == prefix(name, found), name
            assert (
                recognise(name, Held(found)) is None
                or torn(recognise(name, Held(found)), Held(found)) == ""
                or kind in GOOD_AS_FAR_AS_THEY_WENT
            )
            if kind in GOOD_AS_FAR_AS_THEY_WENT:
                assert len(found) == cut


def items(name: str, path: Path) -> list[Any]:
    """What a file's own library reads from it."""
    if "tfevents" in name:
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

        return list(RawEventFileLoader(str(path)).Load())
    if name.endswith(".arrow"):
        import pyarrow as pa

        with path.open("rb") as stream, pa.ipc.open_stream(stream) as reader:
            return [batch.to_pydict() for batch in reader]
    if name.endswith(".tar"):
        with tarfile.open(path) as archive:
            return [(member.name, archive.extractfile(member).read() if member.isreg() else b"") for member in archive]  # type: ignore[union-attr]
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "events.out.tfevents.1.host",
            "events.out.tfevents.2.host",
            "events.out.tfevents.3.host",
            "stream.arrow",
            "packed-stream.arrow",
        ),
        *("form-0.tar", "form-1.tar", "form-2.tar", "appended.tar", "journal.log", "plain.jsonl"),
    ],
)
def test_its_own_library_reads_a_prefix_to_the_end(made: dict[str, tuple[str, Path]], tmp_path: Path, name: str) -> None:
    rng = random.Random(20261128)
    path = made[name][1]
    whole, all_items = path.read_bytes(), items(name, path)
    least = {".arrow": 1000, ".tar": 5000}.get(path.suffix, 60)
    for cut in [len(whole) - 1, *(rng.randrange(min(least, len(whole) - 1), len(whole)) for _ in range(12))]:
        part = tmp_path / name
        part.write_bytes(prefix(name, whole, cut))
        found = items(name, part) if part.stat().st_size else []
        assert found == all_items[: len(found)], cut
        assert len(found) >= sum(1 for _ in all_items) * cut // len(whole) // 3, cut  # what was whole is kept


def test_an_event_file_with_records_larger_than_any_window_is_cut_to_its_last_whole_one() -> None:
    from holdfast.store.live.crc import masked_crc

    def record(data: bytes) -> bytes:
        length = struct.pack("<Q", len(data))
        return length + struct.pack("<I", masked_crc(length)) + data + b"crc."

    small, large = record(b"x" * 50), record(bytes(2_000_000))
    whole = small * 6000 + large * 2
    assert prefix("events", whole) == whole
    assert prefix("events", whole[:-1]) == small * 6000 + large
    assert prefix("events", whole[: len(small) * 6000 + 11]) == small * 6000
    assert prefix("events", small + b"damage" * 5) == small + b"damage" * 5  # nothing is cut away that is not understood
    content = Held(whole + small)
    kind = recognise("events", content)
    assert kind is not None
    assert whole_prefix(kind, content, content.size) == content.size
    assert content.taken < 70_000


def test_a_journal_is_cut_to_its_last_line_and_lines_of_json_keep_one_that_is_closed() -> None:
    line = b'{"op_code":4,"worker_id":"a","user_attr":{"x":"y"}}\n'
    assert prefix("journal.log", line * 3 + line[:-1]) == line * 3
    assert prefix("journal.log", line * 5000 + line[:9]) == line * 5000
    assert prefix("journal.log", line[:20]) == b""
    line = b'{"step":4,"text":"}{"}\n'
    assert prefix("a.jsonl", line * 3 + line[:-1]) == line * 3 + line[:-1]
    assert prefix("a.jsonl", line * 3 + line[:-2]) == line * 3
    assert prefix("a.jsonl", line * 3, len(line) + 7) == line


def run_file(records: list[bytes]) -> bytes:
    """As wandb writes it (leveldb's doc/log_format.md, behind 7 bytes)."""
    made = bytearray(b":W&B\xe1\xbe\0")
    for record in records:
        rest, first = record, True
        while first or rest:
            room = 32768 - len(made) % 32768
            if room < 7:
                made += bytes(room)
                room = 32768
            part, rest = rest[: room - 7], rest[room - 7 :]
            kind = 1 if first and not rest else 2 if first else 3 if rest else 4
            made += struct.pack("<IHB", zlib.crc32(part), len(part), kind) + part
            first = False
    return bytes(made)


def test_a_run_of_wandb_is_cut_to_its_last_whole_record() -> None:
    rng = random.Random(20261128)
    sizes = [0, 1, 40, 32768 - 7 - 7 - 61, 5000, 100_000, 32_761, 3, 32_755, 20] + [rng.randrange(2, 3000) for _ in range(60)]
    records = [rng.randbytes(size) for size in sizes]
    ends = [len(run_file(records[:number])) for number in range(len(records) + 1)]
    whole = run_file(records)
    for cut in [*ends, *(rng.randrange(8, len(whole)) for _ in range(300))]:
        kept = len(prefix("run.wandb", whole, cut))
        expected = max(end for end in ends if end <= cut)
        assert kept == expected or (kept == cut and not any(whole[expected:cut])), (cut, kept, expected)
        assert bool(torn(recognise("run.wandb", Held(whole)), Held(whole, cut))) == (kept < cut)  # type: ignore[arg-type]


def test_a_part_of_another_kind_is_not_to_be_had(made: dict[str, tuple[str, Path]]) -> None:
    content = Held(made["zip.pt"][1])
    kind = recognise("zip.pt", content)
    assert kind is not None
    with pytest.raises(ValueError, match="not of zip"):
        whole_prefix(kind, content, 100)
