"""The mount and the API show one Drive."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import requests

from holdfast.simulator import Weather
from holdfast.simulator.drive_api import DriveApi
from tests.simulator.conftest import Mount
from tests.simulator.drive_api.support import Client
from tests.simulator.support import attribute, run, until, write

SOON = Weather(foreign_delay=(1, 2))


def test_what_the_mount_wrote_is_in_the_api_by_the_id_that_the_mount_says(mount: Mount, api: DriveApi, client: Client) -> None:
    drive = mount()
    place = write(drive, "proj/a.txt", b"content")
    assert client.names() == []
    assert drive.drain() == []
    file = client.get_file(attribute(place, "id"))
    assert (file["name"], file["size"], file["md5Checksum"]) == ("a.txt", "7", attribute(place, "md5"))
    assert client.get_file(file["parents"][0], "id,name") == {"id": attribute(place.parent, "id"), "name": "proj"}
    assert client.names(q="trashed = false") == ["a.txt", "proj"]
    assert client.read(file["id"]) == b"content"
    place.unlink()
    drive.drain()
    assert client.get_file(file["id"], "trashed") == {"trashed": True}


def test_what_the_api_made_is_in_the_mount_after_a_while(mount: Mount, api: DriveApi, client: Client) -> None:
    drive = mount(weather=SOON)
    folder = client.folder("proj")
    first = client.put("a.txt", b"one", parent=folder)
    client.put("a.txt", b"two", parent=folder)
    drive.advance(0.5)
    assert os.listdir(drive.my_drive) == []
    drive.advance(10)
    assert sorted(os.listdir(drive.my_drive / "proj")) == ["a (1).txt", "a.txt"]
    place = drive.my_drive / "proj" / "a.txt"
    assert (place.read_bytes(), attribute(place, "id")) == (b"one", first["id"])
    client.ask("PATCH", f"/upload/drive/v3/files/{first['id']}?uploadType=media", data=b"three")
    drive.advance(0)
    drive.advance(10)
    assert place.read_bytes() == b"three"


def test_what_the_api_deletes_goes_from_the_mount_and_what_it_restores_comes_back(
    mount: Mount, api: DriveApi, client: Client
) -> None:
    drive = mount("first", weather=SOON)
    write(drive, "proj/sub/a.txt", b"a")
    write(drive, "proj/b.txt", b"b")
    drive.drain()
    proj = attribute(drive.my_drive / "proj", "id")
    deleted = attribute(drive.my_drive / "proj" / "b.txt", "id")
    assert client.ask("DELETE", f"/drive/v3/files/{deleted}").status_code == 204
    client.ask("PATCH", f"/drive/v3/files/{proj}", json={"trashed": True})
    drive.advance(0)
    drive.advance(10)
    assert os.listdir(drive.my_drive) == []
    second = mount("second", weather=SOON)
    assert os.listdir(second.my_drive) == []
    client.ask("PATCH", f"/drive/v3/files/{proj}", json={"trashed": False})
    for each in (drive, second):
        each.advance(0)
        each.advance(10)
        assert os.listdir(each.my_drive / "proj") == ["sub"]
        assert (each.my_drive / "proj" / "sub" / "a.txt").read_bytes() == b"a"


def test_the_api_answers_while_the_mount_is_dead(mount: Mount, api: DriveApi, client: Client) -> None:
    drive = mount()
    place = write(drive, "a.txt", b"a")
    drive.drain()
    file = attribute(place, "id")
    drive.kill()
    assert client.read(file) == b"a"


def started(*arguments: str | Path) -> tuple[subprocess.Popen[str], str, str]:
    """The simulator as a command, the address of its API, and the certificate to trust."""
    command = [sys.executable, "-m", "holdfast.simulator", *map(str, arguments), "--api", "0", "--until-stdin-closes"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    address, certificate = re.search(r"API:\s+(\S+)", said), re.search(r"trusted:\s+(\S+)", said)
    assert address is not None
    assert certificate is not None
    return process, address[1], certificate[1]


def test_one_command_serves_both_faces(tmp_path: Path) -> None:
    process, address, certificate = started(tmp_path / "drive", "--cloud", tmp_path / "cloud", "--speed", "1000")
    with process:
        (tmp_path / "drive" / "MyDrive" / "a.txt").write_bytes(b"a")
        files: list[dict[str, str]] = []

        def arrived() -> bool:
            answer = requests.get(
                f"{address}/drive/v3/files", headers={"Authorization": "Bearer x"}, verify=certificate, timeout=30
            )
            files[:] = answer.json()["files"]
            return bool(files)

        until(arrived)
        assert [(file["name"], file["id"]) for file in files] == [("a.txt", attribute(tmp_path / "drive/MyDrive/a.txt", "id"))]
        process.communicate(timeout=30)
    assert process.returncode == 0


def test_one_command_serves_the_api_alone_and_again(tmp_path: Path) -> None:
    for made in (0, 1):
        process, address, certificate = started("--cloud", tmp_path / "cloud")
        with process:
            ask = {"headers": {"Authorization": "Bearer x"}, "verify": certificate, "timeout": 30}
            assert len(requests.get(f"{address}/drive/v3/files", **ask).json()["files"]) == made
            assert requests.post(f"{address}/drive/v3/files", json={"name": "a"}, **ask).status_code == 200
            process.communicate(timeout=30)
        assert process.returncode == 0


def test_a_command_that_has_nothing_to_serve_or_no_port_to_serve_at_says_so_in_one_line(api: DriveApi, tmp_path: Path) -> None:
    for arguments, said in (
        ([], "give a mountpoint, or --api PORT, or both"),
        (["--cloud", tmp_path / "other", "--api", str(api.port)], f"Drive's API is not served at port {api.port}: "),
    ):
        done = run(sys.executable, "-m", "holdfast.simulator", *arguments)
        assert done.returncode == 2
        assert said in done.stderr.splitlines()[-1]
