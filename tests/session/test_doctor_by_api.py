"""Doctor on a Drive mount with a token: what the mount says, and what Drive itself says, side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.session.doctor import Finding, examine
from holdfast.session.doctor.by_api import Pair, said
from holdfast.simulator import Attributes
from holdfast.simulator.drive_api import DriveApi
from holdfast.store.deciding.limits import Limits
from holdfast.store.reporting.durability import Durability
from tests.drive import Mount, mount, nothing_stays_mounted
from tests.session.test_two_ways import api, attach, project

__all__ = ["api", "mount", "nothing_stays_mounted"]


def only(found: list[Finding], topic: str, word: str) -> Finding:
    (one,) = [f for f in found if f.topic == topic and word in f.text]
    return one


@pytest.mark.parametrize("attributes", [Attributes.LYING, Attributes.ABSENT])
def test_both_words_stand_side_by_side_and_drives_own_is_right(
    api: DriveApi, mount: Mount, tmp_path: Path, attributes: Attributes
) -> None:
    drive = mount()
    drive.weather(attributes=attributes)
    keeper = attach(project(drive, tmp_path / "here"), drive.my_drive)
    place = keeper.root / "outputs" / "a"
    place.write_text("first")
    assert keeper.backup("outputs/a")
    drive.drain()
    place.write_text("second")
    assert keeper.backup("outputs/a")  # and never uploaded; asked about first, before a checksum of this mount was seen
    found = examine(keeper, limit=20, upload_wait=2.0, interval=0.2)
    assert only(found, "drive api", "it shows gdrive:").level == "good"
    words = only(found, "two words", "newest manifests").text
    assert "Drive itself NOT_SHOWN 1, SAFE 1" in words
    assert ("the mount says CONFIRMED 2" in words) is (attributes is Attributes.LYING)
    watched = [f for f in found if f.topic == "two words" and "newest manifests" not in f.text]
    assert [f.level for f in watched] == (["bad"] if attributes is Attributes.LYING else ["note"]), watched


@pytest.mark.parametrize("way", ["mount", "api"])
def test_a_folder_of_manifests_that_is_nearly_full_is_named_before_it_is_full(
    api: DriveApi, mount: Mount, tmp_path: Path, way: str
) -> None:
    drive = mount()
    root = project(drive, tmp_path / "here")
    keeper = attach(root, drive.my_drive if way == "mount" else "gdrive:")
    assert keeper.store is not None
    for number in range(9):
        (root / "outputs" / f"{number}").write_text("x")
    assert keeper.backup(*(f"outputs/{number}" for number in range(9)))
    for items, level, word in ((11, None, ""), (10, "note", "run `holdfast prune`"), (9, "bad", "no backup fits any more")):
        keeper.store.limits = Limits(items=items)
        found = [f for f in examine(keeper, limit=20) if "names, and Drive takes" in f.text]
        assert [f.level for f in found] == ([level] if level else []), found
        assert all(word in f.text for f in found)


def test_a_manifest_that_the_mount_confirms_and_drive_has_otherwise_is_bad() -> None:
    assert said([Pair(Durability.CONFIRMED, "OTHER")]).level == "bad"
    assert said([Pair(Durability.CONFIRMED, "SAFE"), Pair(Durability.UNKNOWN, "NOT_SHOWN")]).level == "good"
