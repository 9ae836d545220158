"""Which sessions worked on a stage comes back with what they kept, on every machine."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from holdfast.flow.life import LIFE, Life, read_life
from holdfast.flow.record import read_record
from holdfast.platform import host_name
from tests.flow import toy
from tests.flow.test_toy import killed, places

__all__ = ["places"]


def test_three_machines_that_vanish_are_all_on_record_with_what_each_had_kept(places: tuple[Path, Path]) -> None:
    root, drive = places
    for die_at in (25, 47, 0):
        shutil.rmtree(root)
        root.mkdir()
        killed(root, drive, die_at)
    sessions = read_life(root / "outputs/squares" / LIFE)
    assert [s.progress for s in sessions] == [20.0, 40.0, 60.0]
    assert [s.end for s in sessions] == ["", "", "finished"]
    assert {s.machine for s in sessions} == {host_name()}
    assert len({s.name for s in sessions}) == 3
    for session, following in itertools.pairwise(sessions):
        assert session.kept is not None
        assert session.began <= session.kept <= following.began
        assert 0 <= session.every <= session.kept - session.began


def test_a_life_is_kept_and_its_bytes_decide_nothing(places: tuple[Path, Path]) -> None:
    root, drive = places
    toy.run(root, drive, toy.Sums())
    record = read_record(root / "outputs/squares/stage.json")
    assert record is not None
    assert record.files[LIFE] == ""
    (root / "outputs/squares" / LIFE).write_text("{}")
    assert toy.run(root, drive, toy.Sums()).ran == ()


def test_one_that_cannot_be_read_begins_anew_and_words_of_a_later_version_are_left_out(tmp_path: Path) -> None:
    place = tmp_path / LIFE
    times = iter([10.0, 12.0, 20.0])
    place.write_text("not JSON")
    life = Life(place, "one", "here", lambda: next(times))
    life.kept(3.0)
    document = json.loads(place.read_text())
    document["sessions"][0]["mood"] = "good"
    place.write_text(json.dumps(document))
    life.kept(None)
    (session,) = read_life(place)
    assert (session.kept, session.progress, session.every) == (20.0, 3.0, 8.0)
