"""The lessons of `test_lessons.py` as far as it takes Drive's mount to show them. The number is the lesson's in ARCHITECTURE.md."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import OutsideOutputs, StoreUnreachable
from holdfast.session.doctor import examine
from holdfast.session.functions import backup_to_drive, ensure_restored_from_drive
from holdfast.simulator import Death, Fate, SimulatedDrive
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.colab import Consent, FakeColab
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.simulator.support import until
from tests.store.backends.test_drive import Colab, write
from tests.support import make_database, rows_in

LOST = {"*": Fate.MISSING}


@pytest.fixture
def colab(tmp_path: Path) -> Colab:
    return Colab(tmp_path)


def two_versions(colab: Colab, drive: SimulatedDrive) -> Path:
    """A machine with the first version of a folder uploaded, and the second written."""
    root = colab.machine()
    keeper = colab.keeper(root)
    write(root, "d/a.txt", "first")
    assert keeper.backup("outputs/d")
    drive.drain()
    write(root, "d/a.txt", "second")
    write(root, "d/big.bin", "x" * 2_000_000)
    assert keeper.backup("outputs/d")
    return root


def test_lesson_01_and_03_a_path_on_the_mount_is_refused_at_the_door_and_nothing_is_asked(colab: Colab) -> None:
    with colab.drive() as drive:
        keeper = colab.keeper(colab.machine())
        drive.counters(reset=True)
        for call in (keeper.ensure, keeper.backup, keeper.restore):
            with pytest.raises(OutsideOutputs, match="not below outputs"):
                call(drive.my_drive / "proj/outputs/d")
        assert sum(drive.counters().values()) == 0


def test_lesson_02_a_manifest_that_arrived_before_its_payload_is_no_backup(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        two_versions(colab, drive)
        drive.disconnect({"*/generations/*": Fate.WHOLE, **LOST})
    with colab.drive(seed=1) as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        assert keeper.ensure("outputs/d").outcome is Outcome.RESTORED
        assert (root / "outputs/d/a.txt").read_text() == "first"
        assert "is not whole" in caplog.text
        write(root, "d/a.txt", "second")
        assert not keeper.backup("outputs/d").results[0].unchanged, "what never arrived is sent again"
        drive.drain()
    with colab.drive(seed=2):
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/d").outcome is Outcome.RESTORED
        assert (root / "outputs/d/a.txt").read_text() == "second"


def test_lesson_04_what_a_disconnect_costs_is_the_trial_under_way_and_not_the_night(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        for trial in range(4):
            make_database(root / "outputs/study/study.db", rows=trial + 1)
            write(root, f"study/trial_{trial}/metrics.json", str(trial))
            assert keeper.backup("outputs/study", progress=trial + 1)
            if trial < 3:
                drive.drain()
        drive.disconnect(LOST)
    with colab.drive(seed=1):
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/study").outcome is Outcome.RESTORED
        assert rows_in(root / "outputs/study/study.db") == 3
        assert sorted(p.name for p in (root / "outputs/study").glob("trial_*")) == ["trial_0", "trial_1", "trial_2"]


def test_lesson_08_and_09_whatever_arrived_no_partial_tree_is_taken_and_no_name_was_written_twice(colab: Colab) -> None:
    with colab.drive() as drive:
        two_versions(colab, drive)
        drive.disconnect()
    cloud = Cloud(colab.cloud)
    # An item that was written over would have a higher version.
    assert {item.version for item in cloud.items() if not item.folder} == {1}
    cloud.close()
    with colab.drive(seed=9):
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/d").outcome is Outcome.RESTORED
        found = {p.name: p.read_text() for p in (root / "outputs/d").iterdir()}
        assert found in ({"a.txt": "first"}, {"a.txt": "second", "big.bin": "x" * 2_000_000})


def test_lesson_10_a_torn_upload_of_a_database_is_never_restored(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        keeper = colab.keeper(root)
        make_database(root / "outputs/study/study.db", rows=200)
        assert keeper.backup("outputs/study")
        drive.drain()
        make_database(root / "outputs/study/study.db", rows=2000)
        assert keeper.backup("outputs/study")
        drive.disconnect({"*/generations/*": Fate.WHOLE, "*.db": Fate.TORN})
    with colab.drive(seed=1):
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/study").outcome is Outcome.RESTORED
        assert rows_in(root / "outputs/study/study.db") == 200


def test_lesson_11_nothing_is_called_restored_where_drive_is_not_mounted(
    colab: Colab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root = colab.machine()
    write(root, "here.txt", "here")
    (root / "config").mkdir()
    (root / "config/paths.yaml").write_text(f"drive:\n  mount_point: {colab.mountpoint}\n  backup_base_dir: proj\n")
    (colab.mountpoint / "MyDrive").mkdir(parents=True)
    monkeypatch.chdir(root)
    holdfast.attach(drive=colab.mountpoint / "MyDrive")
    with caplog.at_level(logging.INFO):
        assert ensure_restored_from_drive("outputs/here.txt"), "it is present"
        assert not ensure_restored_from_drive("outputs/missing.txt")
        assert not backup_to_drive("outputs/here.txt")
    assert "restored from" not in caplog.text
    assert "Drive is not mounted here" in caplog.text
    holdfast.detach()


def test_lesson_12_a_fresh_start_on_a_dead_mount_never_replaces_what_is_in_the_store(colab: Colab) -> None:
    with colab.drive() as drive:
        first = colab.machine()
        make_database(first / "outputs/study/study.db", rows=20)
        assert colab.keeper(first).backup("outputs/study", progress=20)
        drive.drain()
        root = colab.machine()
        keeper = colab.keeper(root)
        drive.weather(death=Death.ENOENT)
        assert keeper.ensure("outputs/study").outcome is Outcome.FAILED
        make_database(root / "outputs/study/study.db", rows=1)
        assert not keeper.backup("outputs/study", progress=1)
        drive.weather(death=Death.ALIVE)
        assert keeper.backup("outputs/study", progress=1), "going on is allowed"
        drive.drain()
        fresh = colab.machine()
        assert colab.keeper(fresh).ensure("outputs/study").outcome is Outcome.RESTORED
        assert rows_in(fresh / "outputs/study/study.db") == 20
        assert sum(e.head for e in keeper.history("outputs/study")) == 2


def test_lesson_14_a_renamed_folder_on_drive_is_said_and_found(colab: Colab, caplog: pytest.LogCaptureFixture) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        write(root, "d/a.txt", "a")
        assert colab.keeper(root).backup("outputs/d")
        drive.drain()
        (drive.my_drive / "proj").rename(drive.my_drive / "thesis")
        drive.drain()
        assert colab.keeper(root).ensure("outputs/e").outcome is Outcome.FAILED, "this workspace knew a store here"
        fresh = colab.keeper(colab.machine())
        assert fresh.ensure("outputs/d").outcome is Outcome.ABSENT
        assert "nothing was backed up here yet; the first backup makes a new store" in caplog.text
        report = {f.topic: f for f in examine(fresh)}
        assert "thesis" in report["stores near by"].text


def test_lesson_15_one_file_of_a_large_store_costs_a_handful_of_cold_reads(colab: Colab) -> None:
    with colab.drive() as drive:
        root = colab.machine()
        for n in range(40):
            write(root, f"run/checkpoint-{n}/model.bin", "x" * 1_100_000)
        assert colab.keeper(root).backup("outputs/run")
        drive.drain()
        drive.disconnect()
    with colab.drive(seed=1) as drive:
        root = colab.machine()
        assert colab.keeper(root).ensure("outputs/run/checkpoint-7").outcome is Outcome.RESTORED
        assert drive.counters()["cold_reads"] <= 4
        assert [p.name for p in (root / "outputs/run").iterdir()] == ["checkpoint-7"]


def test_lesson_16_consent_that_nobody_gives_leaves_nothing_half_attached(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(2, signal.default_int_handler)\n"
        "import holdfast\n"
        "try:\n    holdfast.attach()\nexcept KeyboardInterrupt:\n    print('interrupted')\n"
        "print(bool(holdfast.BACKUP_ENABLED), holdfast.backup_to_drive('outputs/a'))\n"
        "print(holdfast.ensure_restored_from_drive('outputs/a'))"
    )
    root = tmp_path / "project"
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text(f"drive:\n  mount_point: {tmp_path / 'content/drive'}\n")
    with FakeColab(cloud=tmp_path / "cloud", consent=Consent.HANGS) as colab:
        env = {**os.environ, **colab.environment, "HOLDFAST_DRIVE": ""}
        with subprocess.Popen([sys.executable, "-c", code], env=env, cwd=root, stdout=subprocess.PIPE, text=True) as process:
            until(lambda: colab.asked)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
    assert said.splitlines() == ["interrupted", "False False", "False"]


def test_lesson_16_a_refused_consent_is_one_line_that_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/paths.yaml").write_text(f"drive:\n  mount_point: {tmp_path / 'content/drive'}\n")
    with (
        FakeColab(cloud=tmp_path / "cloud", consent=Consent.REFUSED) as colab,
        colab.installed(),
    ):
        for name, value in colab.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("HOLDFAST_DRIVE", raising=False)
        with pytest.raises(StoreUnreachable, match="give consent"):
            holdfast.attach(tmp_path)
        assert not holdfast.BACKUP_ENABLED


def test_lesson_17_a_twin_or_a_neighbour_is_never_taken_for_the_store(colab: Colab) -> None:
    with colab.drive() as drive:
        for project in ("aaa", "proj"):
            root = colab.machine()
            write(root, "study/who.txt", project)
            assert colab.keeper(root, project).backup("outputs/study")
        drive.drain()
        root = colab.machine()
        done = colab.keeper(root).ensure("outputs/study")
        assert done.outcome is Outcome.RESTORED
        assert (root / "outputs/study/who.txt").read_text() == "proj"
        assert colab.keeper(root).confirm() != {}
        assert set(colab.keeper(root).confirm().values()) == {Durability.CONFIRMED}
