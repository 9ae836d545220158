"""A client that says exactly what a test wants said, and hides nothing that is answered."""

from __future__ import annotations

import json
from typing import Any

import requests

from holdfast.simulator.drive_api import DriveApi

BLOCK = 256 * 1024
FOLDER = "application/vnd.google-apps.folder"


class Client(requests.Session):
    """Asks one simulated API."""

    def __init__(self, api: DriveApi) -> None:
        super().__init__()
        self.api = api
        self.verify = str(api.certificate)
        self.trust_env = False
        self.headers["Authorization"] = "Bearer token"

    def ask(self, method: str, path: str, **fields: Any) -> requests.Response:
        return self.request(method, self.api.address + path, allow_redirects=False, timeout=30, **fields)

    def get_file(self, id_: str, fields: str = "*") -> dict[str, Any]:
        return self._good(self.ask("GET", f"/drive/v3/files/{id_}", params={"fields": fields}))

    def list(self, **params: str) -> list[dict[str, Any]]:
        found = self._good(
            self.ask("GET", "/drive/v3/files", params={"fields": "files(*),nextPageToken,incompleteSearch", **params})
        )
        return list(found["files"])

    def names(self, **params: str) -> list[str]:
        return sorted(file["name"] for file in self.list(**params))

    def folder(self, name: str, parent: str = "root", **more: Any) -> str:
        body = {"name": name, "mimeType": FOLDER, "parents": [parent], **more}
        return str(self._good(self.ask("POST", "/drive/v3/files", json=body, params={"supportsAllDrives": "true"}))["id"])

    def put(self, name: str, content: bytes, parent: str = "root", fields: str = "*", **more: Any) -> dict[str, Any]:
        return self._good(self.post_file(name, content, parent, fields, **more))

    def post_file(self, name: str, content: bytes, parent: str = "root", fields: str = "*", **more: Any) -> requests.Response:
        meta = json.dumps({"name": name, "parents": [parent], **more})
        body = f"--b\r\nContent-Type: application/json\r\n\r\n{meta}\r\n--b\r\nContent-Type: text/plain\r\n\r\n".encode()
        return self.ask(
            "POST",
            "/upload/drive/v3/files",
            params={"uploadType": "multipart", "fields": fields, "supportsAllDrives": "true"},
            data=body + content + b"\r\n--b--\r\n",
            headers={"Content-Type": 'multipart/related; boundary="b"'},
        )

    def read(self, id_: str, span: str | None = None) -> bytes:
        headers = {"Accept-Encoding": "identity", **({} if span is None else {"Range": span})}
        found = self.ask("GET", f"/drive/v3/files/{id_}", params={"alt": "media"}, headers=headers)
        assert found.status_code in (200, 206), found.text
        return found.content

    def begin(self, name: str, size: int | None, **more: Any) -> str:
        headers = {} if size is None else {"X-Upload-Content-Length": str(size)}
        found = self.ask(
            "POST",
            "/upload/drive/v3/files",
            params={"uploadType": "resumable", "fields": "*"},
            json={"name": name, **more},
            headers=headers,
        )
        assert found.status_code == 200, found.text
        return str(found.headers["Location"])

    def chunk(self, session: str, data: bytes, start: int, total: int | str, method: str = "PUT") -> requests.Response:
        span = f"bytes {start}-{start + len(data) - 1}/{total}" if data else f"bytes */{total}"
        return self.request(method, session, data=data, headers={"Content-Range": span}, allow_redirects=False, timeout=30)

    def put_to(self, session: str, data: bytes, headers: dict[str, str]) -> requests.Response:
        return self.request("PUT", session, data=data, headers=headers, allow_redirects=False, timeout=30)

    def ids(self, count: int) -> list[str]:
        return list(self._good(self.ask("GET", "/drive/v3/files/generateIds", params={"count": str(count)}))["ids"])

    def _good(self, answer: requests.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def reason(answer: requests.Response) -> tuple[int, str]:
    """Status and Google's reason of a refusal."""
    error = answer.json()["error"]
    assert error["code"] == answer.status_code
    return error["code"], error["errors"][0]["reason"]
