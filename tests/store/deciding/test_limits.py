"""What Drive refuses however much space is free, decided with plain numbers."""

from __future__ import annotations

import pytest

from holdfast.store.deciding.limits import DRIVE, Limits, fullest, levels_of, nearly_too_many, too_deep, too_much


@pytest.mark.parametrize(
    ("location", "levels"),
    [
        ("/content/drive/MyDrive/proj", 1),
        ("/content/drive/My Drive/Colab/a/proj", 3),
        ("/content/drive/Shareddrives/Team/proj", 1),
        ("/content/drive/.shortcut-targets-by-id/1x/proj", 1),
        ("gdrive:Colab/proj", 2),
        ("gdrive:proj", 1),
    ],
)
def test_folders_are_counted_from_the_top_of_the_drive(location: str, levels: int) -> None:
    assert levels_of(location) == levels


def test_the_hundredth_level_is_taken_and_the_next_is_named() -> None:
    taken, refused = "/".join("a" * 99), "/".join("a" * 100)
    assert too_deep(DRIVE, "gdrive:proj", ["outputs", taken]) is None
    assert too_deep(DRIVE, "gdrive:proj", ["outputs", refused, taken]) == (refused, 101)
    assert too_deep(DRIVE, "gdrive:proj", []) is None


def test_the_fullest_folder_is_found_among_what_is_there_and_what_is_new() -> None:
    assert fullest(("outputs/a/1", "outputs/a/2", "outputs/b/1"), ["outputs/b", "outputs/b"]) == ("outputs/b", 3)
    assert fullest((), []) == ("", 0)


def test_a_folder_is_nearly_full_from_nine_tenths_on() -> None:
    assert not nearly_too_many(Limits(items=100), 89)
    assert nearly_too_many(Limits(items=100), 90)


def test_a_day_takes_what_it_takes_and_nothing_is_never_too_much() -> None:
    assert not too_much(Limits(day=100), 40, 60)
    assert too_much(Limits(day=100), 41, 60)
    assert too_much(Limits(day=100), 0, 101)
    assert not too_much(Limits(day=100), 200, 0)
