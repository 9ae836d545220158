"""Resumable uploads by the API, word by word."""

from __future__ import annotations

import pytest
import requests

from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api import DriveApi
from tests.simulator.drive_api.support import BLOCK, Client, reason

CONTENT = bytes(range(256)) * (BLOCK * 3 // 256) + b"the end\r"


def test_a_file_is_there_when_its_last_byte_is_and_not_before(api: DriveApi, client: Client) -> None:
    session = client.begin("a.bin", len(CONTENT))
    answer = client.chunk(session, b"", 0, len(CONTENT))
    assert (answer.status_code, answer.headers.get("Range"), answer.headers.get("Location")) == (308, None, None)
    answer = client.chunk(session, CONTENT[: 2 * BLOCK], 0, len(CONTENT))
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{2 * BLOCK - 1}")
    assert client.chunk(session, b"", 0, len(CONTENT)).headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"
    assert client.names() == []
    assert api.open_sessions == 1
    answer = client.chunk(session, CONTENT[2 * BLOCK :], 2 * BLOCK, len(CONTENT))
    assert answer.status_code == 200
    assert client.read(answer.json()["id"]) == CONTENT
    assert answer.json()["sha256Checksum"] == client.get_file(answer.json()["id"])["sha256Checksum"]
    assert client.names() == ["a.bin"]
    assert api.open_sessions == 0
    assert api.book.requests["session.question"] == 2


def test_a_session_that_is_finished_answers_the_same_again_and_makes_no_twin(client: Client) -> None:
    session = client.begin("a.bin", 3)
    first = client.chunk(session, b"abc", 0, 3)
    assert client.chunk(session, b"abc", 0, 3).json() == first.json()
    assert client.chunk(session, b"", 0, 3).json() == first.json()
    assert client.names() == ["a.bin"]


def test_a_session_takes_post_and_more_query_and_a_total_that_comes_last(client: Client) -> None:
    session = client.begin("a.bin", None) + "&supportsAllDrives=true"
    assert client.chunk(session, CONTENT[:BLOCK], 0, "*", "POST").status_code == 308
    answer = client.chunk(session, CONTENT[BLOCK : BLOCK + 5], BLOCK, BLOCK + 5, "POST")
    assert client.read(answer.json()["id"]) == CONTENT[: BLOCK + 5]


def test_what_is_sent_again_is_taken_once_and_a_gap_is_refused(client: Client) -> None:
    session = client.begin("a.bin", len(CONTENT))
    client.chunk(session, CONTENT[: 2 * BLOCK], 0, len(CONTENT))
    assert reason(client.chunk(session, CONTENT[3 * BLOCK :], 3 * BLOCK, len(CONTENT)))[0] == 400
    answer = client.chunk(session, CONTENT[BLOCK:], BLOCK, len(CONTENT))
    assert client.read(answer.json()["id"]) == CONTENT


def test_an_odd_chunk_is_refused_unless_odd_chunks_are_taken(api: DriveApi, client: Client) -> None:
    session = client.begin("a.bin", 300_000)
    assert reason(client.chunk(session, CONTENT[:1000], 0, 300_000))[0] == 400
    api.faults.odd_chunks = True
    assert client.chunk(session, CONTENT[:1000], 0, 300_000).headers["Range"] == "bytes=0-999"
    answer = client.chunk(session, CONTENT[1000:300_000], 1000, 300_000)
    assert client.read(answer.json()["id"]) == CONTENT[:300_000]


@pytest.mark.parametrize("headers", [{}, {"Content-Range": "bytes */0"}])
def test_an_empty_file_is_finished_in_both_ways(client: Client, headers: dict[str, str]) -> None:
    answer = client.put_to(client.begin("a.bin", 0), b"", headers)
    assert answer.json()["size"] == "0"
    assert client.read(answer.json()["id"]) == b""


def test_a_whole_file_without_a_range_is_taken_whole_and_a_short_one_is_refused(client: Client) -> None:
    assert client.put_to(client.begin("a.bin", 3), b"abc", {}).json()["size"] == "3"
    assert reason(client.put_to(client.begin("b.bin", 4), b"abc", {}))[0] == 400
    assert client.names() == ["a.bin"]


def test_the_chosen_id_is_asked_again_when_the_last_byte_is_there(client: Client) -> None:
    (id_,) = client.ids(1)
    one, other = client.begin("a.bin", 3, id=id_), client.begin("a.bin", 3, id=id_)
    assert client.chunk(one, b"abc", 0, 3).json()["id"] == id_
    assert reason(client.chunk(other, b"abc", 0, 3)) == (409, "fileIdInUse")
    assert reason(client.chunk(other, b"", 0, 3)) == (409, "fileIdInUse")
    assert client.names() == ["a.bin"]


def test_an_update_by_a_session_keeps_the_id(client: Client) -> None:
    file = client.put("a.bin", b"before")["id"]
    start = client.ask("PATCH", f"/upload/drive/v3/files/{file}?uploadType=resumable", headers={"X-Upload-Content-Length": "3"})
    answer = client.chunk(start.headers["Location"], b"abc", 0, 3)
    assert answer.json()["id"] == file
    assert client.read(file) == b"abc"


def test_a_session_is_over_after_a_week_or_when_it_is_cancelled(api: DriveApi, client: Client) -> None:
    api.faults.clock = Clock()
    session, other = client.begin("a.bin", 3), client.begin("b.bin", 3)
    assert client.request("DELETE", other).status_code == 499
    assert client.chunk(other, b"", 0, 3).status_code == 404
    api.faults.clock.advance(7 * 24 * 3600 + 1)
    assert reason(client.chunk(session, b"abc", 0, 3)) == (404, "notFound")


def test_the_address_of_a_session_names_the_host_that_was_asked(api: DriveApi, client: Client) -> None:
    answer = client.ask(
        "POST", "/resumable/upload/drive/v3/files?uploadType=resumable", json={"name": "a"}, headers={"Host": "drive.test"}
    )
    assert answer.headers["Location"].startswith("https://drive.test/resumable/upload/drive/v3/files?")
    assert requests.utils.urlparse(client.begin("a", 1)).port == api.port
