"""A machine vanishes while its first uploads, or its last, are on their way: the next one goes on unaided.

What is in the cloud then is nobody's to restore: a manifest that is torn, payload that is missing, a store without sentinel.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from holdfast.simulator import Fate
from holdfast.store.reporting.outcomes import Outcome
from tests.store.backends.test_drive import Colab, write

MANIFESTS, PAYLOAD, SENTINEL, MARKS = "proj/generations/*", "proj/outputs/*", "proj/holdfast.json", "proj/artifacts*"

LOSSES: dict[str, dict[str, Fate]] = {
    "manifest torn": {MANIFESTS: Fate.TORN, "*": Fate.WHOLE},
    "manifest empty": {MANIFESTS: Fate.EMPTY, "*": Fate.WHOLE},
    "payload torn": {"proj/outputs/*.tar": Fate.TORN, "*": Fate.WHOLE},
    "payload missing": {"proj/outputs/*.tar": Fate.MISSING, "*": Fate.WHOLE},
}
OF_THE_STORE: dict[str, dict[str, Fate]] = {
    "sentinel missing, manifest torn": {SENTINEL: Fate.MISSING, MANIFESTS: Fate.TORN, "*": Fate.WHOLE},
    "sentinel and manifest missing": {SENTINEL: Fate.MISSING, "proj/generations/*.json": Fate.MISSING, "*": Fate.WHOLE},
    "sentinel torn, manifest empty": {SENTINEL: Fate.TORN, MANIFESTS: Fate.EMPTY, "*": Fate.WHOLE},
    "sentinel empty, no manifests' folder": {SENTINEL: Fate.EMPTY, "proj/generations*": Fate.MISSING, "*": Fate.WHOLE},
    "payload alone": {SENTINEL: Fate.MISSING, "proj/generations*": Fate.MISSING, "*": Fate.WHOLE},
}


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    return Colab(tmp_path)


def read(root: Path, name: str) -> str:
    return (root / "outputs" / name).read_text()


def goes_on(colab: Colab, expected: Outcome) -> None:
    """A fresh machine asks, makes what is absent, backs it up, and the one after it has that."""
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        for path in ("outputs/d/b.txt", "outputs/d"):
            assert keeper.ensure(path).outcome is (expected if path == "outputs/d" else Outcome.ABSENT), path
        write(root, "d/b.txt", "made again")
        done = keeper.backup("outputs/d")
        assert done, done.results
        assert not done.results[0].forked
        drive.drain()
        assert set(keeper.confirm().values()) == {done.results[0].durability.CONFIRMED}  # type: ignore[union-attr]
        drive.drain()
    with colab.drive():
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/d/b.txt").outcome is Outcome.RESTORED
        assert read(root, "d/b.txt") == "made again"


@pytest.mark.parametrize("fates", LOSSES.values(), ids=LOSSES)
def test_the_first_backup_of_an_artifact_never_arrived(
    colab: Colab, fates: dict[str, Fate], caplog: pytest.LogCaptureFixture
) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "other.txt", "so that the store is there")
        assert keeper.backup("outputs/other.txt")
        drive.drain()
        write(root, "d/b.txt", "lost")
        assert keeper.backup("outputs/d")
        drive.disconnect(fates)
    goes_on(colab, Outcome.ABSENT)
    assert "never arrived whole" in caplog.text


def test_that_it_never_arrived_is_said_once_to_who_asks_for_its_parts(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        write(root, "d/b.txt", "lost")
        keeper = colab.keeper(root)
        write(root, "other.txt", "so that the store is there")
        assert keeper.backup("outputs/other.txt")
        drive.drain()
        assert keeper.backup("outputs/d")
        drive.disconnect(next(iter(LOSSES.values())))
    with colab.drive():
        keeper = colab.keeper(colab.machine())
        for path in ("outputs/d/b.txt", "outputs/d", "outputs/d/b.txt"):
            found = keeper.ensure(path)
            assert found.outcome is Outcome.ABSENT
            assert "never arrived whole" in found.warnings[0]
    assert caplog.text.count("never arrived whole") == 1


@pytest.mark.parametrize("fates", LOSSES.values(), ids=LOSSES)
def test_a_later_backup_never_arrived_and_the_one_before_it_counts(
    colab: Colab, fates: dict[str, Fate], caplog: pytest.LogCaptureFixture
) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "d/a.txt", "a")
        assert keeper.backup("outputs/d")
        drive.drain()
        keeper.confirm()
        drive.drain()
        write(root, "d/b.txt", "lost")
        assert keeper.backup("outputs/d")
        drive.disconnect(fates)
    goes_on(colab, Outcome.RESTORED)
    assert "never arrived whole" in caplog.text


@pytest.mark.parametrize("fates", OF_THE_STORE.values(), ids=OF_THE_STORE)
def test_the_store_itself_never_arrived(colab: Colab, fates: dict[str, Fate], caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        write(root, "d/b.txt", "lost")
        assert colab.keeper(root).backup("outputs/d")
        drive.disconnect(fates)
    goes_on(colab, Outcome.ABSENT)
    assert "a new store was created" in caplog.text


@pytest.mark.parametrize("fates", [*OF_THE_STORE.values(), {"*": Fate.MISSING}], ids=[*OF_THE_STORE, "all of it"])
def test_the_machine_lives_on_when_its_mount_took_the_store_with_it(colab: Colab, fates: dict[str, Fate]) -> None:
    """Drive is mounted anew by force: the same workspace finds less than it wrote, and writes it again."""
    root = colab.machine()
    with colab.drive() as drive:
        write(root, "d/b.txt", "kept")
        assert colab.keeper(root).backup("outputs/d")
        drive.disconnect(fates)
    with colab.drive() as drive:
        keeper = colab.keeper(root)
        keeper.workspace.forget_unsafe_stores()  # as mounting by force does
        assert keeper.ensure("outputs/d/b.txt").outcome is Outcome.LOCAL
        done = keeper.backup("outputs/d")
        assert done, done.results
        drive.drain()
    with colab.drive():
        other = colab.machine()
        assert colab.keeper(other).ensure("outputs/d").outcome is Outcome.RESTORED
        assert read(other, "d/b.txt") == "kept"


@pytest.mark.parametrize("fate", [Fate.MISSING, Fate.TORN, Fate.EMPTY])
def test_a_sentinel_that_never_arrived_hides_nothing_that_did(colab: Colab, fate: Fate) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        write(root, "d/b.txt", "arrived")
        assert colab.keeper(root).backup("outputs/d")
        drive.disconnect({SENTINEL: fate, "*": Fate.WHOLE})
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        assert keeper.ensure("outputs/d").outcome is Outcome.RESTORED
        assert read(root, "d/b.txt") == "arrived"
        write(root, "d/c.txt", "the next one writes the sentinel again")
        done = keeper.backup("outputs/d")
        assert done, done.results
        assert not done.results[0].forked
        drive.drain()
    with colab.drive():
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/d").outcome is Outcome.RESTORED
        assert read(root, "d/c.txt") == "the next one writes the sentinel again"


def test_what_was_safe_once_is_damage_and_never_absent(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        write(root, "d/b.txt", "safe")
        assert keeper.backup("outputs/d")
        drive.drain()
        keeper.confirm()
        drive.drain()
        (manifest,) = (drive.my_drive / "proj/generations").iterdir()
        manifest.write_bytes(manifest.read_bytes()[:-9])
        drive.drain()
    with colab.drive() as drive:
        answer = colab.keeper(colab.machine()).ensure("outputs/d/b.txt")
        assert answer.outcome is Outcome.FAILED
        assert "damaged" in answer.error
        (drive.my_drive / "proj/holdfast.json").unlink()
        drive.drain()
    with colab.drive():
        answer = colab.keeper(colab.machine()).ensure("outputs/d/b.txt")
        assert answer.outcome is Outcome.FAILED
        assert "safe here once" in answer.error


def test_a_store_that_was_safe_and_is_gone_is_not_made_again_by_a_workspace_that_knew_it(colab: Colab) -> None:
    root = colab.machine()
    with colab.drive() as drive:
        write(root, "d/b.txt", "safe")
        keeper = colab.keeper(root)
        assert keeper.backup("outputs/d")
        drive.drain()
        keeper.confirm()
    with colab.drive() as drive:
        (drive.my_drive / "proj").rename(drive.my_drive / "elsewhere")
        drive.drain()
        done = colab.keeper(root).backup("outputs/d")
        assert not done
        assert "is this the right account" in (done.results[0].error or "")


def test_the_warning_is_said_before_anything_is_written(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        write(root, "d/b.txt", "lost")
        assert colab.keeper(root).backup("outputs/d")
        drive.disconnect(OF_THE_STORE["sentinel missing, manifest torn"])
    caplog.clear()
    with colab.drive(), caplog.at_level(logging.WARNING):
        assert colab.keeper(colab.machine()).ensure("outputs/d").outcome is Outcome.ABSENT
    assert any("the first backup" in r.message and "never arrived whole" in r.message for r in caplog.records)
