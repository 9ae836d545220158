"""The plan's names, used as a notebook uses them."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holdfast
from holdfast import BACKUP_ENABLED, backup_to_drive, ensure_restored_from_drive, restore_from_drive, restore_if_missing

#: The plan's universal pattern, as a user pastes it.
PATTERN = """
from pathlib import Path
import holdfast
from holdfast import BACKUP_ENABLED, backup_to_drive, ensure_restored_from_drive

def use_file(path): print("used", path.read_text())
def create_file(path): path.parent.mkdir(parents=True, exist_ok=True); path.write_text("made"); print("created")
def work_with_local_files(path): pass

{attach}
local_path = Path("outputs/benchmarks/benchmark.json")
# At operation start - mirror local development workflow
# 1. Check local first (same as local dev)
if local_path.exists():
    # Use local file (same as local dev)
    use_file(local_path)
else:
    # 2. Local missing - check Drive backup (Colab-specific)
    if ensure_restored_from_drive(local_path):
        # Restored from Drive - now use it (same as local dev)
        use_file(local_path)
    else:
        # 3. Drive doesn't have it - proceed normally (same as local dev)
        create_file(local_path)  # Normal operation

# Work normally with local files (mirror local development)
work_with_local_files(local_path)

# At session end - backup to Drive (Colab-specific)
if BACKUP_ENABLED:
    print("backed up", backup_to_drive(local_path))  # Save progress before disconnect
"""


@pytest.fixture(autouse=True)
def nothing_attached() -> Iterator[None]:
    holdfast.detach()
    yield
    holdfast.detach()


def project(folder: Path, name: str = "proj") -> Path:
    root = folder / name
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text("base: {outputs: outputs}\ndrive: {backup_base_dir: proj}\nother: [1, 2]\n")
    return root


def paste(root: Path, attach: str) -> tuple[list[str], str]:
    """Run the pattern in a Python of its own, as a user would. Gives what it printed and what it said on standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PATTERN.format(attach=attach)], cwd=root, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines(), done.stderr


def test_the_universal_pattern_with_a_store(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    attach = f"holdfast.attach(drive={str(drive)!r})"
    first, second = project(tmp_path, "one"), project(tmp_path, "two")
    assert paste(first, attach)[0] == ["created", "backed up True"]
    assert paste(first, attach)[0] == ["used made", "backed up True"]
    assert paste(second, attach)[0] == ["used made", "backed up True"]


def test_the_universal_pattern_without_a_store(tmp_path: Path) -> None:
    root = project(tmp_path)
    for attach in ("holdfast.attach()", ""):
        assert paste(root, attach)[0] == ["created"]
        assert paste(root, attach)[0] == ["used made"]
        (root / "outputs/benchmarks/benchmark.json").unlink()


def test_the_universal_pattern_with_the_folder_gone_in_between(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    attach = f"holdfast.attach(drive={str(drive)!r})"
    first, second = project(tmp_path, "one"), project(tmp_path, "two")
    paste(first, attach)
    drive.rename(tmp_path / "gone")
    out, err = paste(second, attach)
    assert out == ["created", "backed up False"]
    assert "is the drive mounted" in err
    (tmp_path / "gone").rename(drive)
    out, _ = paste(project(tmp_path, "three"), attach)
    assert out[0] == "used made"


def test_signatures_are_the_plans() -> None:
    for function in (ensure_restored_from_drive, restore_if_missing, restore_from_drive, backup_to_drive):
        parameters = inspect.signature(function).parameters
        assert list(parameters) == ["local_path", "is_directory"]
        assert parameters["is_directory"].default is False
        assert inspect.signature(function).return_annotation in (bool, "bool")


def test_backup_enabled_answers_when_asked(tmp_path: Path) -> None:
    assert not BACKUP_ENABLED
    assert BACKUP_ENABLED == False  # noqa: E712 - a notebook may well write it so
    (tmp_path / "drive").mkdir()
    holdfast.attach(project(tmp_path), tmp_path / "drive")
    assert BACKUP_ENABLED
    assert repr(BACKUP_ENABLED) == "True"
    holdfast.attach(project(tmp_path, "local"))
    assert not BACKUP_ENABLED


def test_directories_go_and_come_back(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    one, two = project(tmp_path, "one"), project(tmp_path, "two")
    holdfast.attach(one, tmp_path / "drive")
    (one / "outputs/final/checkpoint").mkdir(parents=True)
    (one / "outputs/final/checkpoint/model.bin").write_bytes(b"m" * 2_000_000)
    (one / "outputs/final/checkpoint/config.json").write_text("{}")
    assert backup_to_drive(one / "outputs/final/checkpoint", is_directory=True) is True
    holdfast.attach(two, tmp_path / "drive")
    assert ensure_restored_from_drive(two / "outputs/final/checkpoint", is_directory=True) is True
    assert (two / "outputs/final/checkpoint/model.bin").read_bytes() == b"m" * 2_000_000
    assert restore_if_missing(two / "outputs/nothing") is False


def test_they_never_raise_they_log_and_return(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "drive").mkdir()
    root = project(tmp_path)
    holdfast.attach(root, tmp_path / "drive")
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    assert backup_to_drive(outside) is False
    assert ensure_restored_from_drive(outside) is True, "it is present, and making it again would overwrite it"
    assert ensure_restored_from_drive(tmp_path / "missing") is False
    assert backup_to_drive(root / "outputs/never-made") is False
    assert [r.levelno for r in caplog.records if r.levelno >= logging.ERROR] == [logging.ERROR] * 4


def test_without_a_drive_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = project(tmp_path)
    holdfast.attach(root)
    (root / "outputs").mkdir()
    (root / "outputs/x").write_text("x")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert backup_to_drive(root / "outputs/x") is False
    assert sum("nothing is backed up" in r.getMessage() for r in caplog.records) == 1


def test_the_keeper_is_the_same_question_precisely(tmp_path: Path) -> None:
    (tmp_path / "drive").mkdir()
    one, two = project(tmp_path, "one"), project(tmp_path, "two")
    keep = holdfast.attach(one, tmp_path / "drive")
    assert keep.ensure("outputs/result.json").outcome is holdfast.Outcome.ABSENT
    (one / "outputs").mkdir()
    (one / "outputs/result.json").write_text("{}")
    assert keep.backup("outputs/result.json")
    keep.flush()
    keep = holdfast.attach(two, tmp_path / "drive")
    assert keep.require("outputs/result.json").read_text() == "{}"
    with pytest.raises(holdfast.errors.NotRestored, match="neither here nor in the store"):
        keep.require("outputs/other.json")
    assert [r.key.value for r in keep.status()] == ["outputs/result.json"]


def test_every_restore_and_backup_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "drive").mkdir()
    one, two = project(tmp_path, "one"), project(tmp_path, "two")
    (one / "outputs").mkdir()
    (one / "outputs/x").write_text("x")
    caplog.set_level(logging.INFO, logger="holdfast")
    keep = holdfast.attach(one, tmp_path / "drive")
    keep.backup("outputs/x")
    keep.flush()
    holdfast.attach(two, tmp_path / "drive").ensure("outputs/x")
    messages = [r.getMessage() for r in caplog.records if r.levelno == logging.INFO]
    assert [m.split(":")[0] for m in messages] == ["outputs/x", "outputs/x"]
    assert "backed up as generation 000001-" in messages[0]
    assert "restored from generation 000001-" in messages[1]


def test_the_public_names_are_these() -> None:
    assert set(holdfast.__all__) == {
        "BACKUP_ENABLED", "BackedUp", "Backup", "Durability", "Keeper", "Outcome", "Restored", "__version__", "attach",
        "backup_to_drive", "detach", "ensure_restored_from_drive", "errors", "restore_from_drive", "restore_if_missing",
    }  # fmt: skip
    for name in holdfast.__all__:
        assert getattr(holdfast, name) is not None
