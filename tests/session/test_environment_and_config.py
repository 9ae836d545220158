"""Where am I, and what the project says."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError, StoreUnreachable
from holdfast.session.attach import open_keeper
from holdfast.session.config import find_root, load_config
from holdfast.session.environment import Environment, detect


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, Environment.ELSEWHERE),
        ({"COLAB_RELEASE_TAG": "release-colab_20260801"}, Environment.COLAB),
        ({"COLAB_RELEASE_TAG": "x", "VERTEX_PRODUCT": "COLAB_ENTERPRISE"}, Environment.COLAB_ENTERPRISE),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, Environment.KAGGLE),
    ],
)
def test_each_machine_is_told_by_its_variables(variables: dict[str, str], expected: Environment) -> None:
    assert detect(variables) is expected


def test_the_users_own_file_is_read_and_foreign_sections_are_left_alone(tmp_path: Path) -> None:
    place = tmp_path / "config/paths.yaml"
    place.parent.mkdir()
    text = "base:\n  outputs: results\ndrive:\n  mount_point: /content/drive\n  backup_base_dir: resume-ner\nhpo: {x: 1}\n"
    place.write_text(text)
    config = load_config(tmp_path)
    assert (config.outputs, config.project, config.mount_point) == ("results", "resume-ner", Path("/content/drive"))
    assert place.read_text() == text


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    config = load_config(tmp_path)
    assert (config.outputs, config.project, config.mount_point) == ("outputs", tmp_path.name, Path("/content/drive"))


def test_the_root_is_the_nearest_folder_above_with_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/paths.yaml").write_text("")
    deep = tmp_path / "notebooks/deep"
    deep.mkdir(parents=True)
    assert find_root(deep) == tmp_path
    assert find_root(Path("/")) == Path("/")


def test_on_colab_drive_is_mounted_by_the_one_adapter_and_only_a_real_mount_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for google.colab that "mounts" an ordinary folder: it must not be taken for Drive."""
    mounted = []

    def mount(point: str, *, force_remount: bool) -> None:
        Path(point, "MyDrive").mkdir(parents=True)
        mounted.append((point, force_remount))

    package, module = types.ModuleType("google.colab"), types.ModuleType("google.colab.drive")
    module.mount = mount  # type: ignore[attr-defined]
    package.drive = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "google", types.ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", package)
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    root = tmp_path / "proj"
    (root / "config").mkdir(parents=True)
    (root / "config/paths.yaml").write_text(f"drive: {{mount_point: {tmp_path}/content/drive, timeout: 5}}")
    (root / "outputs").mkdir()
    (root / "outputs/x").write_text("x")
    with pytest.raises(StoreUnreachable, match="said that it is mounted, and nothing is"):
        open_keeper(root)
    assert mounted == [(f"{tmp_path}/content/drive", False)]
    assert list(Path(tmp_path, "content/drive/MyDrive").iterdir()) == [], "nothing is written to a disk about to vanish"


def test_where_drive_cannot_be_mounted_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release")
    with pytest.raises(StoreUnreachable, match="not a Colab notebook"):
        open_keeper(tmp_path)


def test_kaggle_and_enterprise_work_locally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert not open_keeper(tmp_path).enabled
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE")
    monkeypatch.setenv("VERTEX_PRODUCT", "COLAB_ENTERPRISE")
    assert not open_keeper(tmp_path).enabled


def test_outputs_on_the_drive_is_refused_with_the_mend(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    (drive / "proj/outputs").mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="local disk"):
        open_keeper(drive / "proj", drive)


@pytest.mark.parametrize(
    ("root", "name"), [("/content", "holdfast"), ("/content/study", "study"), ("/kaggle/working", "holdfast"), ("/", "holdfast")]
)
def test_the_store_is_named_after_the_project_and_not_after_the_machine(root: str, name: str) -> None:
    assert load_config(Path(root)).project == name
