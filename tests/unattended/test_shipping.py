"""Which files go to a machine, and which are refused."""

from __future__ import annotations

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.unattended import shipping
from holdfast.unattended.wheel import pack_wheel


def project(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def test_what_git_tracks_goes_and_nothing_else(tmp_path: Path) -> None:
    project(tmp_path, "train.py", "data/a.txt", "notes.txt", "outputs/x")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, "add", "train.py", "data"], check=True)
    assert shipping.choose(tmp_path).files == ("data/a.txt", "train.py")
    assert shipping.choose(tmp_path, ("notes.txt",)).files == ("data/a.txt", "notes.txt", "train.py")


def test_without_git_all_goes_but_outputs_and_what_is_ignored(tmp_path: Path) -> None:
    project(tmp_path, "train.py", "data/a.txt", "data/b.tmp", "build/x", "outputs/x", ".holdfast/y", "holdfast-aside/z")
    (tmp_path / ".gitignore").write_text("/build/\n*.tmp\n# nothing\n")
    assert shipping.choose(tmp_path).files == (".gitignore", "data/a.txt", "train.py")


@pytest.mark.parametrize("name", [".env", "keys/id_rsa", "client_secret.json", "my-credentials.yaml", "x.pem", "token.json"])
def test_a_name_that_looks_like_a_secret_is_refused_unless_it_is_included(tmp_path: Path, name: str) -> None:
    project(tmp_path, "train.py", name)
    with pytest.raises(UsageError, match="looks like a secret"):
        shipping.choose(tmp_path)
    assert name in shipping.choose(tmp_path, (name,)).files


def test_the_files_of_a_tokenizer_are_no_secrets(tmp_path: Path) -> None:
    names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokens.txt", "secrets.py")
    assert shipping.choose(project(tmp_path, *names)).files == tuple(sorted(names))


def test_too_much_is_refused_unless_the_large_file_is_included(tmp_path: Path) -> None:
    project(tmp_path, "train.py", "large.bin")
    with (tmp_path / "large.bin").open("wb") as file:
        file.truncate(shipping.LIMIT_BYTES + 1)
    with pytest.raises(UsageError, match=r"the largest.* is large\.bin"):
        shipping.choose(tmp_path)
    assert "large.bin" in shipping.choose(tmp_path, ("large.bin",)).files


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    cargo = shipping.choose(project(tmp_path / "p", "train.py", "data/a.txt"))
    for name in ("one", "two"):
        shipping.pack(cargo, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as tar:
        assert tar.getnames() == ["data/a.txt", "train.py"]


def test_the_wheel_holds_the_version_that_supervises(tmp_path: Path) -> None:
    with zipfile.ZipFile(pack_wheel(tmp_path)) as wheel:
        names = wheel.namelist()
        assert "holdfast/unattended/job.py" in names
        assert names[-1].endswith(".dist-info/RECORD")
        assert not any("__pycache__" in name for name in names)
