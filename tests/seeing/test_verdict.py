"""One line says what is safe, and no word of it says more than is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.session.background.waiting import Queue
from holdfast.session.finding.status import ArtifactStatus
from holdfast.session.seeing.sight import Line, Tone
from holdfast.session.seeing.verdict import MOST_LINES, fold, tone
from holdfast.store.backends.backend import Space
from holdfast.store.format.keys import Key
from holdfast.store.reporting.amounts import ago, many
from tests.seeing.samples import (
    CHANGED,
    ELSEWHERE,
    FORKED,
    GIB,
    MIB,
    NEVER,
    NOW,
    SAFE,
    STALE,
    STATUSES,
    UNTOLD,
    UPLOADING,
    many_safe,
    status,
)


def line(row: ArtifactStatus, **other: object) -> Line:
    (found,) = status(row, **other).sight.lines  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("rows", "worth", "title"),
    [
        ((), Tone.PLAIN, "NOTHING YET"),
        ((SAFE, ELSEWHERE), Tone.SAFE, "SAFE"),
        ((SAFE, STALE, FORKED), Tone.SAFE, "SAFE"),
        ((SAFE, STALE, UNTOLD), Tone.UNTOLD, "CANNOT TELL"),
        ((SAFE, UNTOLD, UPLOADING), Tone.UPLOADING, "UPLOADING"),
        ((SAFE, UNTOLD, UPLOADING, CHANGED), Tone.BAD, "NOT SAFE"),
        ((SAFE, NEVER), Tone.BAD, "NOT SAFE"),
    ],
)
def test_the_worst_artifact_is_the_verdict(rows: tuple[ArtifactStatus, ...], worth: Tone, title: str) -> None:
    found = status(*rows)
    assert (found.sight.verdict.tone, found.sight.verdict.title) == (worth, title)
    assert found.safe == (worth is Tone.SAFE)


def test_the_verdict_says_how_many_files_and_how_much_work() -> None:
    assert status(SAFE, UPLOADING).sight.verdict.text == (
        "2 files still uploading: if this machine vanished now, you would lose at most 41 s of work"
    )
    assert status(SAFE, NEVER).sight.verdict.text == (
        "1 file not backed up: if this machine vanished now, you would lose at most 13 min of work"
    )
    assert status(UNTOLD).sight.verdict.text.endswith("if none did, you would lose at most 4 min of work")
    assert status(SAFE, ELSEWHERE).sight.verdict.text == "everything is backed up and confirmed on Drive: 2 artifacts, 443.0 MiB"


@pytest.mark.parametrize("others", [(UPLOADING,), (CHANGED,), (UPLOADING, CHANGED)])
def test_the_bound_of_what_would_be_lost_covers_what_nobody_can_tell(others: tuple[ArtifactStatus, ...]) -> None:
    text = status(*others, UNTOLD).sight.verdict.text
    assert "2 files that may not have arrived" in text
    assert "at most 4 min" in text


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (SAFE, "confirmed"),
        (UPLOADING, "uploading"),
        (UNTOLD, "cannot tell"),
        (NEVER, "not backed up"),
        (CHANGED, "not backed up"),
        (STALE, "stale"),
        (FORKED, "forked"),
        (replace(CHANGED, stale=True, forks=("a",)), "not backed up, stale, forked"),
        (replace(SAFE, damaged=1), "damaged"),
        (replace(SAFE, generation="", here="no", debris=1), "never arrived"),
        (replace(SAFE, generation="", here="no"), "gone"),
    ],
)
def test_each_artifact_has_its_word(row: ArtifactStatus, word: str) -> None:
    assert line(row).safe == word


def test_what_is_here_counts_and_not_only_the_head() -> None:
    """The head of a fork may be safe while what is here is not."""
    fork = replace(SAFE, forks=("aa",), unconfirmed=1, loss_seconds=30.0, here_durability="WRITTEN")
    assert tone(fork) is Tone.UPLOADING
    assert tone(replace(fork, here_durability="UNKNOWN")) is Tone.UNTOLD
    assert tone(replace(fork, here_durability="")) is Tone.UNTOLD
    assert "at most 30 s" in status(fork).sight.verdict.text


def test_a_backup_that_is_on_its_way_is_not_safe_although_nothing_of_it_is_here() -> None:
    gone = replace(UPLOADING, here="no", unconfirmed=0, loss_seconds=0.0)
    found = status(gone).sight
    assert found.verdict.tone is Tone.UPLOADING
    assert found.verdict.text == "1 backup still uploading: keep this machine until they have arrived"
    assert found.lines[0].loss == "the backup"


def test_what_would_be_lost_is_said_for_each_artifact() -> None:
    assert line(SAFE).loss == "nothing"
    assert line(UPLOADING).loss == "at most 41 s"
    assert line(UNTOLD).loss == "unknown, up to 4 min"
    assert line(CHANGED).loss == "at most 95 s (3 files)"


def test_the_age_of_the_newest_backup_is_said_as_one_would() -> None:
    assert [line(r).age for r in (SAFE, UPLOADING, STALE, ELSEWHERE, NEVER)] == [
        "3 min ago",
        "38 s ago",
        "26.0 h ago",
        "9 days ago",
        "never",
    ]
    assert line(replace(SAFE, time="yesterday")).age == "-"
    assert ago(-5) == "just now", "another machine's clock may run ahead"
    assert [many(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]


def test_a_full_drive_is_never_called_safe_while_anything_waits_for_it() -> None:
    found = status(SAFE, UPLOADING, space=Space(15 * GIB, 12 * MIB)).sight
    assert found.verdict.title == "NOT SAFE"
    assert "Drive is full" in found.verdict.text
    assert [f.tone for f in found.facts if f.name == "space"] == [Tone.BAD]
    assert "empty its trash" in found.advice[0]
    assert status(SAFE, space=Space(15 * GIB, 12 * MIB)).safe, "what has arrived is safe on a full drive too"


def test_a_drive_that_is_nearly_full_is_warned_about() -> None:
    assert "nearly full" in status(SAFE, space=Space(15 * GIB, 200 * MIB)).sight.facts[-1].text
    assert "nearly full" not in status(SAFE, space=Space(2000 * GIB, 2 * GIB)).sight.facts[-1].text
    assert [f.name for f in status(SAFE, space=None).sight.facts] == ["project", "store"]


def test_what_to_do_next_is_said_where_something_is_not_in_order() -> None:
    assert status(SAFE, ELSEWHERE).sight.advice == ()
    advice = "\n".join(STATUSES["not-safe"].sight.advice)
    for words in (
        "empty its trash",
        "`holdfast backup outputs/notes.txt`",
        "`holdfast restore outputs/benchmark.json`",
        "`holdfast history outputs/best_config`",
        "keep.confirm(wait=600)",
        "`holdfast doctor --upload 60`",
    ):
        assert words in advice
    assert "holdfast verify" in status(replace(SAFE, damaged=1)).sight.advice[0]
    assert "before it serves" in status(replace(SAFE, debris=1)).sight.advice[0]
    assert "`holdfast backup 'outputs/my notes'`" in status(replace(NEVER, key=Key("outputs/my notes"))).sight.advice[0]
    assert "--drive DIR" in STATUSES["no-store"].sight.advice[0]


def test_only_what_is_safe_is_ever_left_out_of_a_long_list() -> None:
    rows = [*many_safe(90), *(replace(CHANGED, key=Key(f"outputs/changed/{n}")) for n in range(30))]
    shown, folded = fold(rows)
    assert [r.key.value for r in shown] == sorted(f"outputs/changed/{n}" for n in range(30))
    assert folded.startswith("and 90 more, all safe")
    shown, folded = fold([*many_safe(97), STALE, UPLOADING])
    assert (len(shown), [tone(r) for r in shown[:2]]) == (MOST_LINES, [Tone.UPLOADING, Tone.ATTENTION])
    assert folded.startswith("and 79 more, all safe")
    assert fold(many_safe(MOST_LINES))[1] == ""


def test_a_status_is_a_sequence_of_artifacts() -> None:
    found = status(SAFE, NEVER)
    assert (len(found), found[0], found[-1:], list(found)) == (2, SAFE, (NEVER,), [SAFE, NEVER])
    assert NEVER in found
    assert not status()


def test_what_waits_is_said_with_the_room_that_its_copies_take_here() -> None:
    waiting = (SAFE.key, ELSEWHERE.key)
    found = status(CHANGED, queue=Queue(waiting, NOW - 3, files=4, size=3 * GIB // 2, linked=7 * MIB)).sight.facts
    assert [f.text for f in found if f.name == "to be sent"] == [
        "2 backups, the oldest since 3 s; 1.5 GiB of copies here and 7.0 MiB shared with outputs"
    ]
    found = status(CHANGED, queue=Queue(waiting[:1], NOW - 3, trouble="it is dead", size=MIB)).sight.facts
    assert [(f.text, f.tone) for f in found if f.name == "to be sent"] == [
        (
            "1 backup, the oldest since 3 s; 1.0 MiB of copies here; nothing can be sent now, and it is tried again: it is dead",
            Tone.BAD,
        )
    ]


def test_what_fails_by_itself_is_named_beside_what_is_sent() -> None:
    queue = Queue((SAFE.key, CHANGED.key), NOW - 3, troubles=((CHANGED.key, f"{CHANGED.key}: File name too long"),))
    facts = {f.name: f for f in status(SAFE, CHANGED, queue=queue).sight.facts}
    assert facts["to be sent"].tone is Tone.UPLOADING
    assert facts["not sent yet"].tone is Tone.BAD
    assert f"{CHANGED.key}: File name too long" in facts["not sent yet"].text


@pytest.mark.parametrize("rows", [(), (SAFE,), (SAFE, STALE), (UNTOLD,), (UPLOADING,)])
def test_nothing_is_called_safe_while_a_backup_came_to_nothing(rows: tuple[ArtifactStatus, ...]) -> None:
    found = status(*rows, queue=Queue(errors=((SAFE.key, "outputs/log: it is being written to without a pause"),)))
    assert not found.safe
    assert (found.sight.verdict.tone, found.sight.verdict.title) == (Tone.BAD, "NOT SAFE")
    assert [f.text for f in found.sight.facts if f.name == "failed"] == ["outputs/log: it is being written to without a pause"]


def test_nothing_is_called_safe_while_a_copy_with_work_in_it_waits() -> None:
    assert status(SAFE, queue=Queue((SAFE.key,), NOW - 1)).safe, "what is in the store as it is needs no file sent"
    found = status(SAFE, queue=Queue((SAFE.key,), NOW - 1, files=2))
    assert not found.safe
    assert found.sight.verdict.title == "UPLOADING"
    assert found.sight.verdict.text == "2 files in copies that wait to be sent: keep this machine until they have arrived"
    assert status(CHANGED, queue=Queue((SAFE.key,), NOW - 1, files=2)).sight.verdict == status(CHANGED).sight.verdict
