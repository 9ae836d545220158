"""Files and folders by the API: what is said of them, twins, the trash, ids, rights."""

from __future__ import annotations

import hashlib

import pytest

from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.files import ROOT_ID
from holdfast.simulator.items import SHARED
from tests.simulator.drive_api.support import Client, reason


def test_a_file_answers_with_its_size_and_three_checksums(client: Client) -> None:
    content = b"some bytes\r"
    file = client.put("a.txt", content, appProperties={"key": "value"}, modifiedTime="2020-01-02T03:04:05.678Z")
    assert file["size"] == "11"
    for name in ("md5", "sha1", "sha256"):
        assert file[f"{name}Checksum"] == hashlib.new(name, content).hexdigest()
    assert file["parents"] == [ROOT_ID]
    assert file["appProperties"] == {"key": "value"}
    assert file["modifiedTime"] == "2020-01-02T03:04:05.678Z"
    assert (file["trashed"], file["explicitlyTrashed"], file["mimeType"]) == (False, False, "text/plain")
    assert client.get_file(file["id"]) == file
    assert client.read(file["id"]) == content


def test_only_what_is_asked_for_is_answered_and_a_field_that_there_is_not_is_refused(client: Client) -> None:
    file = client.put("a.txt", b"a", fields="id,size,capabilities/canEdit")
    assert file == {"id": file["id"], "size": "1", "capabilities": {"canEdit": True}}
    assert client.ask("GET", f"/drive/v3/files/{file['id']}").json().keys() == {"kind", "id", "name", "mimeType"}
    assert reason(client.ask("GET", f"/drive/v3/files/{file['id']}?fields=sighs")) == (400, "invalidParameter")
    listed = client.ask("GET", "/drive/v3/files").json()
    assert listed.keys() == {"kind", "incompleteSearch", "files"}
    assert listed["files"][0].keys() == {"kind", "id", "name", "mimeType"}


def test_names_are_not_unique_and_twins_are_both_listed(client: Client) -> None:
    first, second = client.put("a.txt", b"1"), client.put("a.txt", b"2")
    assert first["id"] != second["id"]
    assert client.names(q="name = 'a.txt' and 'root' in parents and trashed = false") == ["a.txt", "a.txt"]
    assert (client.read(first["id"]), client.read(second["id"])) == (b"1", b"2")


def test_a_chosen_id_makes_one_file_however_often_it_is_sent(client: Client) -> None:
    (id_,) = client.ids(1)
    assert client.put("a.txt", b"1", id=id_)["id"] == id_
    assert reason(client.post_file("a.txt", b"1", id=id_)) == (409, "fileIdInUse")
    assert client.names() == ["a.txt"]
    assert client.ask("DELETE", f"/drive/v3/files/{id_}").status_code == 204
    assert reason(client.ask("GET", f"/drive/v3/files/{id_}")) == (404, "notFound")
    assert reason(client.post_file("a.txt", b"1", id=id_)) == (409, "fileIdInUse")


def test_an_id_that_nobody_generated_is_refused(client: Client) -> None:
    assert reason(client.post_file("a.txt", b"1", id="1" + "0" * 32))[0] == 400


def test_what_lies_in_a_folder_in_the_trash_is_in_the_trash_too_and_comes_back_with_it(client: Client) -> None:
    folder = client.folder("a")
    inside = client.put("b.txt", b"b", parent=folder)["id"]
    client.ask("PATCH", f"/drive/v3/files/{folder}", json={"trashed": True})
    file = client.get_file(inside, "trashed,explicitlyTrashed")
    assert file == {"trashed": True, "explicitlyTrashed": False}
    assert client.names(q="trashed = false") == []
    assert client.names(q="trashed = true") == ["a", "b.txt"]
    client.ask("PATCH", f"/drive/v3/files/{folder}", json={"trashed": False})
    assert client.names(q="trashed = false") == ["a", "b.txt"]


def test_deleting_a_folder_deletes_what_is_in_it(client: Client) -> None:
    folder = client.folder("a")
    inside = client.put("b.txt", b"b", parent=folder)["id"]
    assert client.ask("DELETE", f"/drive/v3/files/{folder}").status_code == 204
    assert reason(client.ask("GET", f"/drive/v3/files/{inside}")) == (404, "notFound")
    assert client.names() == []


def test_an_update_keeps_the_id_and_changes_the_revision(client: Client) -> None:
    before = client.put("a.txt", b"one")
    answer = client.ask("PATCH", f"/upload/drive/v3/files/{before['id']}?uploadType=media&fields=*", data=b"two!")
    after = answer.json()
    assert (after["id"], after["size"], after["name"]) == (before["id"], "4", "a.txt")
    assert after["headRevisionId"] != before["headRevisionId"]
    assert int(after["version"]) > int(before["version"])
    assert client.read(after["id"]) == b"two!"


def test_a_file_moves_only_from_where_it_is(client: Client) -> None:
    one, other = client.folder("one"), client.folder("other")
    file = client.put("a.txt", b"a", parent=one)["id"]
    path = f"/drive/v3/files/{file}?fields=parents,name"
    assert reason(client.ask("PATCH", f"{path}&addParents={other}"))[0] == 403
    moved = client.ask("PATCH", f"{path}&addParents={other}&removeParents={one}", json={"name": "b.txt"}).json()
    assert moved == {"parents": [other], "name": "b.txt"}
    assert reason(client.ask("PATCH", f"/drive/v3/files/{one}?addParents={one}&removeParents=root"))[0] == 403


@pytest.mark.parametrize(
    ("span", "content"), [("bytes=0-3", b"0123"), ("bytes=8-", b"89"), ("bytes=-2", b"89"), ("bytes=9-100", b"9")]
)
def test_a_part_of_a_file_can_be_read(client: Client, span: str, content: bytes) -> None:
    file = client.put("a.bin", b"0123456789")["id"]
    assert client.read(file, span) == content


def test_beyond_the_end_the_answer_says_how_long_the_file_is(client: Client) -> None:
    for content in (b"", b"0123456789"):
        file = client.put("a.bin", content)["id"]
        answer = client.ask("GET", f"/drive/v3/files/{file}?alt=media", headers={"Range": "bytes=10-"})
        assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(content)}")


def test_what_may_not_be_seen_is_not_found_and_what_may_only_be_read_is_refused(api: DriveApi, client: Client) -> None:
    folder = client.folder("a")
    file = client.put("b.txt", b"b", parent=folder)["id"]
    api.faults.readonly = {folder}
    assert client.get_file(file, "capabilities/canEdit") == {"capabilities": {"canEdit": False}}
    assert client.get_file(folder, "capabilities/canAddChildren") == {"capabilities": {"canAddChildren": False}}
    assert reason(client.post_file("c.txt", b"c", parent=folder)) == (403, "insufficientFilePermissions")
    assert reason(client.ask("DELETE", f"/drive/v3/files/{file}")) == (403, "insufficientFilePermissions")
    api.faults.hidden = {folder}
    assert reason(client.ask("GET", f"/drive/v3/files/{file}")) == (404, "notFound")
    assert reason(client.ask("GET", "/drive/v3/files", params={"q": f"'{folder}' in parents"})) == (404, "notFound")
    assert client.names() == []


def test_a_shared_drive_shows_only_to_who_says_that_it_knows_of_them(client: Client) -> None:
    both = {"supportsAllDrives": "true", "includeItemsFromAllDrives": "true"}
    file = client.put("a.txt", b"a", parent=SHARED)
    assert file["driveId"] == SHARED
    assert reason(client.ask("GET", f"/drive/v3/files/{file['id']}")) == (404, "notFound")
    assert client.names() == []
    assert client.names(**both) == ["a.txt"]
    assert client.names(**both, corpora="drive", driveId=SHARED) == ["a.txt"]
    assert client.names(q="'root' in parents", **both) == []
    assert client.ask("GET", "/drive/v3/drives").json()["drives"][0]["id"] == SHARED
    assert reason(client.post_file("b.txt", b"b", parent="nowhere")) == (404, "notFound")


def test_the_account_says_how_full_it_is(client: Client) -> None:
    client.put("a.txt", b"12345")
    about = client.ask("GET", "/drive/v3/about?fields=storageQuota(limit,usage),user/emailAddress").json()
    assert about == {"storageQuota": {"limit": "15000000000", "usage": "5"}, "user": {"emailAddress": "user@example.com"}}
    assert reason(client.ask("GET", "/drive/v3/about")) == (400, "required")


def test_what_was_asked_is_in_the_book_with_its_cost(api: DriveApi, client: Client) -> None:
    file = client.put("a.txt", b"12345")["id"]
    client.get_file(file)
    client.list()
    client.read(file)
    client.ids(3)
    client.ask("DELETE", f"/drive/v3/files/{file}")
    expected = {"files.create": 1, "files.get": 1, "files.list": 1, "download": 1, "generateIds": 1, "delete": 1}
    assert dict(api.book.requests) == expected
    assert api.book.units == 50 + 5 + 100 + 200 + 5 + 50
    assert api.book.bytes_in > 5
    assert api.book.bytes_out > 5
