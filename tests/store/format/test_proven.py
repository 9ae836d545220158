"""What is about to be written is proven part by part, and as strictly as a reader reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.errors import Corrupt
from holdfast.store.format import manifest_reading
from holdfast.store.format.entries import FileRecord
from holdfast.store.format.manifest import Manifest
from holdfast.store.format.manifest_reading import parse, prove
from tests.store.format.test_canonical import PACKED, manifest

MANY = manifest_reading._PROVEN_AT_ONCE + 2


def many(*last: FileRecord) -> Manifest:
    """More files than are proven at once, and these behind them."""
    return manifest(*(replace(PACKED, path=f"f{number:06}") for number in range(MANY)), *last)


def test_what_a_reader_takes_is_proven() -> None:
    prove(many())
    prove(manifest())
    sound = many(PACKED)
    assert parse(sound.encoded, sound.name).files == sound.files


@pytest.mark.parametrize(
    "last",
    [
        replace(PACKED, path="z/../z"),
        replace(PACKED, path="z", size=-1),
        replace(PACKED, path="z", blake3="0"),
        replace(PACKED, path="z", tar=None, payload="z"),
        replace(PACKED, path="f000000/below a file of the first part"),
    ],
    ids=lambda record: record.path,
)
def test_what_no_reader_would_take_is_refused_wherever_it_stands(last: FileRecord) -> None:
    wrong = many(last)
    with pytest.raises(Corrupt):
        parse(wrong.encoded, wrong.name)
    with pytest.raises(Corrupt):
        prove(wrong)


def test_hard_links_of_two_parts_are_proven_together() -> None:
    pair = ("f000000", f"f{MANY - 1:06}")
    prove(replace(many(), hard_links=(pair,)))
    files = {**many().files, pair[1]: replace(PACKED, path=pair[1], size=4)}
    with pytest.raises(Corrupt):
        prove(replace(many(), files=files, hard_links=(pair,)))
