"""The limits that Drive documents, by the mount and by the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator import Fate, Limits
from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.elsewhere import Elsewhere
from holdfast.simulator.items import SHARED
from tests.simulator.conftest import Mount
from tests.simulator.drive_api.support import Client, reason
from tests.simulator.support import write

DAY = 24 * 3600


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with DriveApi(tmp_path / "cloud") as api, Client(api) as client:
        yield client


def limit(client_or_path: Client | Path, **limits: int) -> None:
    folder = client_or_path if isinstance(client_or_path, Path) else client_or_path.api.cloud
    Elsewhere(folder).set_limits(Limits(**limits))


def test_the_hundred_and_first_level_of_folders_is_refused_and_files_lie_in_the_hundredth(client: Client) -> None:
    folder = "root"
    for level in range(100):
        folder = client.folder(str(level), parent=folder)
    answer = client.ask(
        "POST", "/drive/v3/files", json={"name": "x", "mimeType": "application/vnd.google-apps.folder", "parents": [folder]}
    )
    assert reason(answer) == (403, "myDriveHierarchyDepthLimitExceeded")
    assert client.put("a.txt", b"a", parent=folder)["parents"] == [folder]


def test_a_full_folder_is_refused_and_my_drive_itself_never_is(client: Client) -> None:
    limit(client, children=2)
    folder = client.folder("a")
    for name in ("a.txt", "b.txt"):
        client.put(name, b"x", parent=folder)
    assert reason(client.post_file("c.txt", b"x", parent=folder)) == (403, "numChildrenInNonRootLimitExceeded")
    begun = client.ask("POST", "/upload/drive/v3/files?uploadType=resumable", json={"name": "c.txt", "parents": [folder]})
    assert reason(begun) == (403, "numChildrenInNonRootLimitExceeded")
    for name in ("a.txt", "b.txt", "c.txt"):
        client.put(name, b"x")


def test_a_full_account_is_refused_before_the_first_byte_of_a_session(client: Client) -> None:
    Elsewhere(client.api.cloud).set_quota(1000)
    headers = {"X-Upload-Content-Length": "1001"}
    begun = client.ask("POST", "/upload/drive/v3/files?uploadType=resumable", json={"name": "a"}, headers=headers)
    assert reason(begun) == (403, "storageQuotaExceeded")
    assert reason(client.post_file("a.txt", b"x" * 1001)) == (403, "storageQuotaExceeded")
    client.put("a.txt", b"x" * 1000)


def test_what_crosses_the_line_of_a_day_is_taken_and_then_nothing_for_a_day(client: Client) -> None:
    client.api.faults.clock = Clock()
    limit(client, day=1000)
    client.put("a.txt", b"x" * 999)
    client.put("b.txt", b"x" * 999)
    assert reason(client.post_file("c.txt", b"x")) == (403, "userRateLimitExceeded")
    assert client.folder("a folder has no bytes")
    client.api.faults.clock.advance(DAY + 60)
    client.put("c.txt", b"x")


def test_a_shared_drive_has_limits_of_its_own(client: Client) -> None:
    limit(client, shared_items=2, levels=2)
    folder = client.folder("a", parent=client.folder("b", parent=SHARED))
    limit(client, levels=2)
    deep = {"name": "c", "mimeType": "application/vnd.google-apps.folder", "parents": [folder]}
    answer = client.ask("POST", "/drive/v3/files?supportsAllDrives=true", json=deep)
    assert reason(answer) == (403, "teamDriveHierarchyTooDeep")
    limit(client, shared_items=2)
    assert reason(client.post_file("a.txt", b"x", parent=folder)) == (403, "teamDriveFileLimitExceeded")


def test_what_is_beyond_a_limit_never_arrives_from_a_mount_and_nobody_is_told(mount: Mount, tmp_path: Path) -> None:
    drive = mount()
    limit(drive.cloud, levels=2, children=2)
    write(drive, "a/b/file.txt")
    write(drive, "a/b/c/file.txt")
    for name in ("1", "2", "3"):
        write(drive, f"full/{name}.txt")
    left = drive.drain()
    assert left[:2] == ["a/b/c", "a/b/c/file.txt"]
    assert len(left) == 3
    assert sorted(drive.elsewhere.folders()) == ["a", "a/b", "full"]
    assert len(drive.elsewhere.files()) == 3
    drive.disconnect({"*": Fate.WHOLE})
    assert sorted(drive.elsewhere.folders()) == ["a", "a/b", "full"]


def test_a_mount_goes_on_a_day_after_its_upload_limit(mount: Mount) -> None:
    drive = mount()
    limit(drive.cloud, day=1000)
    write(drive, "a.txt", b"x" * 1000)
    assert drive.drain() == []
    write(drive, "b.txt", b"x")
    assert drive.drain() == ["b.txt"]
    drive.advance(DAY + 60)
    assert drive.drain() == []
