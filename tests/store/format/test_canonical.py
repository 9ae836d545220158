"""A manifest is canonical JSON, however its rows are put together: compact, sorted keys, ASCII."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from holdfast.store.format.entries import FileRecord, FolderRecord, Piece, Sparse
from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Kind, Manifest, Tar
from holdfast.store.format.manifest_reading import parse
from holdfast.store.format.names import CommitId

TARS = ("outputs/d/small-files@000001-00000000.tar", "outputs/d/small-files@000002-00000001.tar")
PACKED = FileRecord("a/b", 3, "0" * 64, 0o644, tar=TARS[1], mtime_ns=-1_500_000_000)
ALONE = replace(PACKED, tar=None, payload="outputs/d/a/b")
RECORDS = {
    "in a tar": PACKED,
    "in the first tar": replace(PACKED, tar=TARS[0], size=0, mode=0),
    "before 1970 and long after": replace(PACKED, mtime_ns=4_102_444_800_000_000_001),
    "of format 1": replace(PACKED, mtime_ns=None),
    "named for another": replace(PACKED, named="c"),
    "torn": replace(PACKED, torn='"cut"'),
    "a database": replace(ALONE, sqlite=True),
    "alone": ALONE,
    "with holes": replace(ALONE, sparse=Sparse(5, "1" * 64)),
    "in pieces": replace(PACKED, tar=None, pieces=(Piece("outputs/d/p", 9, 1, 3),)),
}


def manifest(*records: FileRecord, writer: str = "host/1") -> Manifest:
    return Manifest(
        store_id="0" * 8,
        key=Key("outputs/d"),
        kind=Kind.DIRECTORY,
        commit=CommitId(1, "0" * 8),
        parent=None,
        ancestors=(),
        fresh_line=False,
        time="2026-01-01T00:00:00Z",
        writer=writer,
        progress=None,
        files={record.path: record for record in records},
        tars={payload: Tar(payload, 10240, "2" * 64) for payload in TARS},
        folders={"": FolderRecord("", 0o755, 5)},
    )


def is_canonical(data: bytes) -> bool:
    body = json.loads(data)["manifest"]
    return data.endswith(f'"manifest":{json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)}}}\n'.encode())


@pytest.mark.parametrize("what", RECORDS)
def test_every_kind_of_row_is_canonical(what: str) -> None:
    assert is_canonical(manifest(RECORDS[what]).encoded)


@pytest.mark.parametrize("name", ["é", "\U0001f600", 'a"b', "back\\slash", "tab\t", "\x7f", "\u2028", '"files":[]', "\udcff"])
def test_whatever_a_file_or_the_writer_is_called(name: str) -> None:
    made = manifest(*(replace(PACKED, path=path) for path in (name, f"z/{name}")), writer=f"{name}/1")
    assert is_canonical(made.encoded)


def test_no_file_and_many() -> None:
    assert is_canonical(manifest().encoded)
    many = manifest(*(replace(PACKED, path=f"a/{number}", size=number) for number in range(200)))
    assert is_canonical(many.encoded)
    assert parse(many.encoded, many.name).files == many.files
