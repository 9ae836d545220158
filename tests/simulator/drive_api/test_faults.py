"""What goes wrong by order, each as a client sees it."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from pathlib import Path

import pytest
import requests

from holdfast.simulator.clock import Clock
from holdfast.simulator.drive_api import DriveApi, Fault, Faults, What
from tests.simulator.drive_api.support import BLOCK, Client, reason

CONTENT = bytes(range(256)) * (BLOCK * 4 // 256)
GONE = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (403, "userRateLimitExceeded"),
        (403, "storageQuotaExceeded"),
        (429, "rateLimitExceeded"),
        (500, "backendError"),
        (503, "backendError"),
    ],
)
def test_a_refusal_has_googles_status_reason_and_words_and_nothing_is_done(
    api: DriveApi, client: Client, status: int, why: str
) -> None:
    api.faults.add(Fault(What.REFUSE, "files.create", status=status, reason=why, retry_after=7))
    answer = client.post_file("a.txt", b"a")
    assert reason(answer) == (status, why)
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["error"]["errors"][0]["domain"] in ("usageLimits", "global")
    assert client.names() == []
    assert client.put("a.txt", b"a")["name"] == "a.txt"


def test_faults_come_by_order_by_kind_and_by_seed(api: DriveApi, client: Client) -> None:
    api.faults.add(Fault(kind="files.get", skip=1, times=2))
    file = client.put("a.txt", b"a")["id"]
    path = f"/drive/v3/files/{file}"
    assert [client.ask("GET", path).status_code for _ in range(5)] == [200, 503, 503, 200, 200]
    api.faults.clear()
    api.faults.add(Fault(share=0.5, times=None))
    drawn = [client.ask("GET", path).status_code for _ in range(20)]
    assert {200, 503} == set(drawn)


def test_a_token_that_is_over_is_refused_and_a_new_one_serves(api: DriveApi, client: Client) -> None:
    session = client.begin("a.txt", 3)
    api.faults.expired = {"token"}
    assert reason(client.ask("GET", "/drive/v3/files")) == (401, "authError")
    assert reason(client.chunk(session, b"abc", 0, 3)) == (401, "authError")
    fresh = client.ask("POST", "/token", data={"grant_type": "refresh_token", "refresh_token": "r"}).json()
    client.headers["Authorization"] = f"Bearer {fresh['access_token']}"
    assert client.chunk(session, b"abc", 0, 3).status_code == 200
    api.faults.tokens = {"this one only"}
    assert client.ask("GET", "/drive/v3/files").status_code == 401
    del client.headers["Authorization"]
    assert reason(client.ask("GET", "/drive/v3/files")) == (401, "required")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_answer_is_lost_and_what_was_asked_is_done(api: DriveApi, client: Client) -> None:
    api.faults.add(Fault(What.LOSE, "files.create"))
    with pytest.raises(GONE):
        client.post_file("a.txt", b"a")
    assert client.names() == ["a.txt"]
    session = client.begin("b.txt", 3)
    api.faults.add(Fault(What.LOSE, "session.chunk"))
    with pytest.raises(GONE):
        client.chunk(session, b"abc", 0, 3)
    assert client.chunk(session, b"", 0, 3).json()["name"] == "b.txt"
    assert client.names() == ["a.txt", "b.txt"]


def test_a_connection_cut_in_a_chunk_leaves_whole_blocks(api: DriveApi, client: Client) -> None:
    session = client.begin("a.bin", len(CONTENT))
    api.faults.add(Fault(What.CUT, "session.chunk", size=2 * BLOCK + 1000))
    with pytest.raises(GONE):
        client.chunk(session, CONTENT, 0, len(CONTENT))
    answer = client.chunk(session, b"", 0, len(CONTENT))
    assert answer.headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"
    answer = client.chunk(session, CONTENT[2 * BLOCK :], 2 * BLOCK, len(CONTENT))
    assert client.read(answer.json()["id"]) == CONTENT


def test_of_a_chunk_only_a_part_may_have_arrived(api: DriveApi, client: Client) -> None:
    session = client.begin("a.bin", len(CONTENT))
    api.faults.add(Fault(What.SHORT, "session.chunk", size=BLOCK), Fault(What.SHORT, "session.chunk", size=0))
    answer = client.chunk(session, CONTENT, 0, len(CONTENT))
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{BLOCK - 1}")
    answer = client.chunk(session, CONTENT[BLOCK:], BLOCK, len(CONTENT))
    assert (answer.status_code, answer.headers["Range"]) == (308, f"bytes=0-{BLOCK - 1}")
    answer = client.chunk(session, CONTENT[BLOCK:], BLOCK, len(CONTENT))
    assert client.read(answer.json()["id"]) == CONTENT


def test_a_download_is_cut_with_and_without_a_length(api: DriveApi, client: Client) -> None:
    file = client.put("a.bin", CONTENT)["id"]
    path = f"/drive/v3/files/{file}?alt=media"
    api.faults.add(
        Fault(What.CUT, "download", size=400), Fault(What.NO_LENGTH, "download", size=400), Fault(What.NO_LENGTH, "download")
    )
    with pytest.raises(GONE):
        client.ask("GET", path)
    answer = client.ask("GET", path)
    assert "Content-Length" not in answer.headers
    assert answer.content == CONTENT[:400]
    assert client.ask("GET", path).content == CONTENT
    assert client.read(file) == CONTENT


def test_a_byte_may_change_on_the_way_and_the_checksum_tells(api: DriveApi, client: Client) -> None:
    file = client.put("a.bin", CONTENT)
    api.faults.add(Fault(What.CORRUPT, "download"))
    assert client.read(file["id"]) == bytes((CONTENT[0] ^ 1,)) + CONTENT[1:]
    api.faults.add(Fault(What.CORRUPT, "session.chunk"))
    other = client.chunk(client.begin("b.bin", len(CONTENT)), CONTENT, 0, len(CONTENT)).json()
    assert other["sha256Checksum"] != file["sha256Checksum"]
    assert other["size"] == file["size"]


def test_what_is_delivered_twice_is_done_twice(api: DriveApi, client: Client) -> None:
    api.faults.add(Fault(What.TWICE, "files.create"))
    client.put("a.txt", b"a")
    assert client.names() == ["a.txt", "a.txt"]
    (id_,) = client.ids(1)
    api.faults.add(Fault(What.TWICE, "files.create"))
    assert reason(client.post_file("b.txt", b"b", id=id_)) == (409, "fileIdInUse")
    session = client.begin("c.txt", 2 * BLOCK)
    api.faults.add(Fault(What.TWICE, "session.chunk", times=2))
    assert client.chunk(session, CONTENT[:BLOCK], 0, 2 * BLOCK).headers["Range"] == f"bytes=0-{BLOCK - 1}"
    assert client.read(client.chunk(session, CONTENT[:BLOCK], BLOCK, 2 * BLOCK).json()["id"]) == CONTENT[:BLOCK] * 2
    assert client.names() == ["a.txt", "a.txt", "b.txt", "c.txt"]


def test_a_session_can_be_forgotten(api: DriveApi, client: Client) -> None:
    session = client.begin("a.txt", 3)
    api.faults.add(Fault(What.EXPIRE, "session.*"))
    assert [client.chunk(session, b"abc", 0, 3).status_code for _ in range(2)] == [404, 404]


def test_an_answer_can_come_later_than_a_client_waits(api: DriveApi, client: Client) -> None:
    api.faults.add(Fault(What.SLOW, "files.list", seconds=60))
    with pytest.raises(requests.ReadTimeout):
        client.request("GET", api.address + "/drive/v3/files", timeout=0.2)
    assert client.names() == []


def test_new_items_come_no_faster_than_the_rate(api: DriveApi, client: Client) -> None:
    api.faults.clock = Clock()
    api.faults.creates_per_second = 2
    assert client.post_file("a.txt", b"a").status_code == 200
    assert reason(client.post_file("b.txt", b"b")) == (403, "userRateLimitExceeded")
    api.faults.clock.advance(0.5)
    assert client.post_file("b.txt", b"b").status_code == 200


def test_each_request_is_told_of_before_and_after(api: DriveApi, client: Client) -> None:
    told: list[tuple[str, str, int]] = []
    api.faults.before = lambda kind, number: told.append(("before", kind, number))
    api.faults.after = lambda kind, number: told.append(("after", kind, number))
    client.ids(1)
    client.names()
    assert told == [(when, kind, n) for n, kind in ((1, "generateIds"), (2, "files.list")) for when in ("before", "after")]


def test_a_body_that_never_comes_is_waited_for_no_longer_than_the_servers_patience(tmp_path: Path) -> None:
    with DriveApi(tmp_path / "cloud", tls=False, faults=Faults(patience=0.2)) as api:
        with socket.create_connection(("127.0.0.1", api.port), timeout=30) as connection:
            connection.sendall(
                b"POST /drive/v3/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 100\r\n\r\n{"
            )
            assert connection.recv(1000) == b""
        assert api.book.requests["files.create"] == 1


def test_a_body_in_http_chunks_is_taken(api: DriveApi, client: Client) -> None:
    body = (piece for piece in (b'{"name": ', b'"a.txt"}'))
    assert client.ask("POST", "/drive/v3/files", data=body).json()["name"] == "a.txt"


def test_one_connection_serves_many_requests_and_tls_is_what_it_speaks(api: DriveApi, client: Client) -> None:
    context = ssl.create_default_context(cafile=str(api.certificate))
    connection = http.client.HTTPSConnection("127.0.0.1", api.port, context=context, timeout=30)
    for _ in range(3):
        connection.request(
            "GET", "/drive/v3/files?" + urllib.parse.urlencode({"q": "trashed = false"}), headers=dict(client.headers)
        )
        answer = connection.getresponse()
        assert (answer.status, answer.version) == (200, 11)
        answer.read()
        assert connection.sock is not None
    connection.close()
