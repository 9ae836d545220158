"""What is written of what was read: whole, in each kind, and never over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.pipeline.data.looking import look, write_as

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("kind", ["conll", "jsonl"])
def test_what_is_written_is_read_to_the_same_entities_and_never_replaces_a_file(kind: str, tmp_path: Path) -> None:
    found = look(str(SAMPLES / "label-studio.json"))
    path = tmp_path / f"out.{kind}"
    write_as(kind, path, found.documents)
    before = path.read_bytes()
    assert look(path).labels() == found.labels()
    write_as(kind, path, found.documents)  # the same once more is no error: a cell is run again
    with pytest.raises(UsageError, match="something else is there already, and is left as it is; name another file"):
        write_as(kind, path, found.documents[:1])
    with pytest.raises(UsageError, match="something else is there already"):
        write_as(kind, tmp_path, found.documents)
    assert path.read_bytes() == before
    write_as(kind, tmp_path / f"other.{kind}", found.documents[:1])
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"other.{kind}", path.name]
