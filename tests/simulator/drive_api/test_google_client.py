"""Google's own client, unchanged, with its built-in discovery document."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_auth_httplib2
import googleapiclient.discovery_cache
import httplib2
import pytest
from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaFileUpload, MediaIoBaseDownload, MediaIoBaseUpload, build_http

from holdfast.simulator.drive_api import DriveApi, Fault, What
from tests.simulator.drive_api.support import BLOCK, FOLDER

CONTENT = bytes(range(256)) * (BLOCK * 5 // 256) + b"the end\r"


@pytest.fixture
def service(api: DriveApi) -> Iterator[Any]:
    place = Path(googleapiclient.discovery_cache.__file__).parent / "documents" / "drive.v3.json"
    document = {**json.loads(place.read_text()), "rootUrl": api.address + "/"}
    document["baseUrl"] = api.address + "/drive/v3/"
    document.pop("mtlsRootUrl", None)
    credentials = Credentials(
        "token", refresh_token="refresh", token_uri=api.address + "/token", client_id="id", client_secret="secret"
    )
    transport = build_http()
    transport.ca_certs = str(api.certificate)
    http = google_auth_httplib2.AuthorizedHttp(credentials, http=transport)
    service = build_from_document(document, http=http)
    yield service
    service.close()


def put(service: Any, name: str, content: bytes, **body: Any) -> dict[str, Any]:
    media = MediaIoBaseUpload(io.BytesIO(content), "application/octet-stream", resumable=False)
    return dict(service.files().create(body={"name": name, **body}, media_body=media, fields="*").execute())


def test_a_small_file_goes_up_is_listed_and_comes_down(service: Any) -> None:
    folder = service.files().create(body={"name": "a folder", "mimeType": FOLDER}, fields="id").execute()["id"]
    file = put(service, "it's a.bin", CONTENT, parents=[folder])
    assert (file["size"], file["parents"]) == (str(len(CONTENT)), [folder])
    found = service.files().list(q=f"'{folder}' in parents and name = 'it\\'s a.bin'").execute()["files"]
    assert [each["id"] for each in found] == [file["id"]]
    assert service.files().get_media(fileId=file["id"]).execute() == CONTENT
    assert service.files().update(fileId=file["id"], body={"trashed": True}, fields="trashed").execute() == {"trashed": True}
    assert service.files().delete(fileId=file["id"]).execute() == ""
    with pytest.raises(HttpError) as refused:
        service.files().get(fileId=file["id"]).execute()
    assert (refused.value.status_code, refused.value.error_details[0]["reason"]) == (404, "notFound")


def test_a_large_file_goes_up_in_chunks(service: Any, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(CONTENT)
    media = MediaFileUpload(str(tmp_path / "a.bin"), chunksize=2 * BLOCK, resumable=True)
    request = service.files().create(body={"name": "a.bin"}, media_body=media, fields="id,sha256Checksum")
    progress, answer = [], None
    while answer is None:
        status, answer = request.next_chunk()
        progress.append(None if status is None else status.resumable_progress)
    assert progress == [2 * BLOCK, 4 * BLOCK, None]
    assert service.files().get_media(fileId=answer["id"]).execute() == CONTENT


def test_an_upload_that_is_cut_and_refused_and_loses_its_last_answer_ends_as_one_whole_file(api: DriveApi, service: Any) -> None:
    api.faults.patience = 0.5  # the client repeats a cut chunk with its headers and no body
    media = MediaIoBaseUpload(io.BytesIO(CONTENT), "application/octet-stream", chunksize=2 * BLOCK, resumable=True)
    request = service.files().create(body={"name": "a.bin"}, media_body=media, fields="id")
    api.faults.add(
        Fault(What.CUT, "session.chunk", size=BLOCK + 5),
        Fault(What.REFUSE, "session.chunk", skip=1),
        Fault(What.SHORT, "session.chunk", size=BLOCK),
        Fault(What.LOSE, "session.chunk", skip=1),
    )
    answer = None
    for _ in range(30):
        try:
            _, answer = request.next_chunk()
        except (OSError, HttpError, httplib2.HttpLib2Error):
            continue
        if answer is not None:
            break
    assert answer is not None
    assert service.files().get_media(fileId=answer["id"]).execute() == CONTENT
    assert len(service.files().list().execute()["files"]) == 1


def test_downloads_come_in_ranges_and_an_empty_file_too(service: Any) -> None:
    for content in (CONTENT, b""):
        file = put(service, "a.bin", content)["id"]
        into = io.BytesIO()
        download = MediaIoBaseDownload(into, service.files().get_media(fileId=file), chunksize=2 * BLOCK)
        done = False
        while not done:
            _, done = download.next_chunk()
        assert into.getvalue() == content


def test_lists_come_in_pages(service: Any) -> None:
    for number in range(5):
        put(service, f"{number}.bin", b"")
    request, names = service.files().list(pageSize=2, orderBy="name"), []
    while request is not None:
        page = request.execute()
        names += [file["name"] for file in page["files"]]
        request = service.files().list_next(request, page)
    assert names == [f"{number}.bin" for number in range(5)]


def test_a_chosen_id_is_taken_and_a_second_create_is_a_conflict(service: Any) -> None:
    (id_,) = service.files().generateIds(count=1, space="drive").execute()["ids"]
    assert put(service, "a.bin", b"a", id=id_)["id"] == id_
    with pytest.raises(HttpError) as refused:
        put(service, "a.bin", b"a", id=id_)
    assert refused.value.status_code == 409


def test_a_create_whose_answer_is_lost_is_repeated_in_silence_and_makes_a_twin(api: DriveApi, service: Any) -> None:
    api.faults.add(Fault(What.LOSE, "files.create"))
    put(service, "a.bin", b"a")
    assert [file["name"] for file in service.files().list().execute()["files"]] == ["a.bin", "a.bin"]


def test_a_token_that_is_over_is_refreshed(api: DriveApi, service: Any) -> None:
    api.faults.expired = {"token"}
    assert service.files().list().execute()["files"] == []
    assert api.book.requests["token"] == 1


def test_a_long_query_goes_as_a_form(api: DriveApi, service: Any) -> None:
    put(service, "a.bin", b"a")
    found = service.files().list(q="name = 'a.bin' and " + " and ".join(["trashed = false"] * 200)).execute()
    assert [file["name"] for file in found["files"]] == ["a.bin"]
    assert api.book.requests["files.list"] == 1
