"""Lists by the API: queries, pages, and how long a change takes to show."""

from __future__ import annotations

import pytest

from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api import DriveApi
from tests.simulator.drive_api.support import FOLDER, Client, reason


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name = 'a.txt'", ["a.txt"]),
        ("name = 'A.TXT'", ["a.txt"]),
        ("name != 'a.txt' and mimeType != 'application/vnd.google-apps.folder'", ["it's a \\ b", "part two.bin"]),
        ("name = 'it\\'s a \\\\ b'", ["it's a \\ b"]),
        ("name contains 'tw'", ["part two.bin"]),
        ("name contains 'wo'", []),
        (f"mimeType='{FOLDER}'", ["sub"]),
        ("'root' in parents and (name = 'a.txt' or name='sub')", ["sub"]),
        ("not 'root' in parents and trashed=false", ["a.txt", "it's a \\ b", "part two.bin"]),
        ("appProperties has { key='run' and value='7' }", ["a.txt"]),
        ("modifiedTime > '2020-01-01T00:00:00' and modifiedTime < '2020-02-01T00:00:00'", ["part two.bin"]),
        ("trashed = true", []),
        ("'me' in owners and sharedWithMe = false and starred = false and name = 'sub'", ["sub"]),
    ],
)
def test_a_query_finds_what_it_says(client: Client, query: str, names: list[str]) -> None:
    sub = client.folder("sub")
    client.put("a.txt", b"a", parent=sub, appProperties={"run": "7"})
    client.put("it's a \\ b", b"b", parent=sub)
    client.put("part two.bin", b"c", parent=sub, modifiedTime="2020-01-15T00:00:00Z")
    assert client.names(q=query) == names


@pytest.mark.parametrize(
    "query", ["name", "name = a", "name ~ 'a'", "(name = 'a'", "size > '3'", "trashed = 'yes'", "name = 'a' and"]
)
def test_a_query_that_cannot_be_read_is_refused(client: Client, query: str) -> None:
    assert reason(client.ask("GET", "/drive/v3/files", params={"q": query})) == (400, "invalidParameter")


def test_a_long_list_comes_in_pages_and_a_token_serves_its_own_query_only(api: DriveApi, client: Client) -> None:
    for number in range(7):
        client.put(f"{number}.txt", b"x")
    found, token, pages = [], None, 0
    while True:
        params = {"pageSize": "3", "orderBy": "name", "q": "trashed = false", **({} if token is None else {"pageToken": token})}
        answer = client.ask("GET", "/drive/v3/files", params=params).json()
        found += [file["name"] for file in answer["files"]]
        pages += 1
        token = answer.get("nextPageToken")
        if token is None:
            break
        last = token
    assert (pages, found) == (3, [f"{number}.txt" for number in range(7)])
    assert reason(client.ask("GET", "/drive/v3/files", params={"pageToken": last}))[0] == 400
    api.forget_pages()
    params = {"pageSize": "3", "orderBy": "name", "q": "trashed = false", "pageToken": last}
    assert reason(client.ask("GET", "/drive/v3/files", params=params)) == (400, "invalidParameter")


def test_a_list_lags_and_a_file_by_its_id_does_not(api: DriveApi, client: Client) -> None:
    api.faults.clock = Clock()
    api.faults.list_lag = 600
    file = client.put("a.txt", b"a")["id"]
    assert client.get_file(file, "name") == {"name": "a.txt"}
    api.faults.clock.advance(599)
    assert client.names() == []
    api.faults.clock.advance(1)
    assert client.names() == ["a.txt"]
    client.ask("PATCH", f"/drive/v3/files/{file}", json={"name": "b.txt"})
    client.put("c.txt", b"c")
    assert client.names() == ["a.txt"]
    client.ask("DELETE", f"/drive/v3/files/{file}")
    assert client.names() == ["a.txt"]
    api.faults.clock.advance(600)
    assert client.names() == ["c.txt"]


def test_each_change_can_have_a_lag_of_its_own(api: DriveApi, client: Client) -> None:
    api.faults.clock = Clock()
    api.faults.list_lag = (0, 600)
    for number in range(20):
        client.put(f"{number}.txt", b"x")
    client.names()
    api.faults.clock.advance(200)
    assert 0 < len(client.names()) < 20
    api.faults.clock.advance(400)
    assert len(client.names()) == 20


def test_an_incomplete_search_says_so(api: DriveApi, client: Client) -> None:
    for number in range(20):
        client.put(f"{number}.txt", b"x")
    api.faults.incomplete = 0.5
    answer = client.ask("GET", "/drive/v3/files").json()
    assert answer["incompleteSearch"] is True
    assert 0 < len(answer["files"]) < 20


def test_a_query_too_long_for_an_address_comes_as_a_form(client: Client) -> None:
    client.put("a.txt", b"a")
    form = {"q": "name = 'a.txt' and " + " and ".join(["trashed = false"] * 200), "fields": "files/name"}
    answer = client.ask("POST", "/drive/v3/files", data=form, headers={"X-HTTP-Method-Override": "GET"})
    assert answer.json() == {"files": [{"name": "a.txt"}]}


def test_changes_are_told_since_a_token_and_of_what_is_deleted_only_the_id(client: Client) -> None:
    token = client.ask("GET", "/drive/v3/changes/startPageToken").json()["startPageToken"]
    kept, deleted = client.put("a.txt", b"a")["id"], client.put("b.txt", b"b")["id"]
    client.ask("DELETE", f"/drive/v3/files/{deleted}")
    found, names = [], []
    while token is not None:
        page = client.ask("GET", "/drive/v3/changes", params={"pageToken": token, "pageSize": "1"}).json()
        found += [(change["fileId"], change["removed"]) for change in page["changes"]]
        names += [change["file"]["name"] for change in page["changes"] if "file" in change]
        token, last = page.get("nextPageToken"), page.get("newStartPageToken")
    assert (found, names) == ([(kept, False), (deleted, True)], ["a.txt"])
    assert client.ask("GET", "/drive/v3/changes", params={"pageToken": last}).json()["changes"] == []
    assert reason(client.ask("GET", "/drive/v3/changes")) == (400, "invalidParameter")
