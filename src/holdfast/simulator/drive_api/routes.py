"""Which address means what."""

from __future__ import annotations

import re
from collections.abc import Mapping

#: Method, address and kind of every request, the first that fits. `*` fits every method.
_ROUTES = (
    ("GET", r"/drive/v3/about", "about"),
    ("GET", r"/drive/v3/files", "files.list"),
    ("POST", r"/drive/v3/files", "files.create"),
    ("GET", r"/drive/v3/files/generateIds", "generateIds"),
    ("DELETE", r"/drive/v3/files/trash", "emptyTrash"),
    ("GET", r"/drive/v3/files/([^/]+)", "files.get"),
    ("PATCH", r"/drive/v3/files/([^/]+)", "files.update"),
    ("DELETE", r"/drive/v3/files/([^/]+)", "delete"),
    ("GET", r"/drive/v3/drives", "drives.list"),
    ("GET", r"/drive/v3/drives/([^/]+)", "drives.get"),
    ("GET", r"/drive/v3/changes/startPageToken", "changes.start"),
    ("GET", r"/drive/v3/changes", "changes.list"),
    ("POST", r"(?:/resumable)?/upload/drive/v3/files", "files.create"),
    ("PATCH", r"(?:/resumable)?/upload/drive/v3/files/([^/]+)", "files.update"),
    ("POST", r"/token|/oauth2/v4/token", "token"),
)
_UPLOAD = re.compile(r"(?:/resumable)?/upload/")


def is_upload(path: str) -> bool:
    """Whether an address takes bytes."""
    return _UPLOAD.match(path) is not None


def route(method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The kind of a request, and the ids that its path names. `unknown` where there is nothing."""
    if is_upload(path) and "upload_id" in query:
        if method == "DELETE":
            return "session.cancel", ()
        asks = headers.get("Content-Range", "").startswith("bytes */") and headers.get("Content-Length") == "0"
        # An empty file is finished by the same words as a question; it counts as the chunk that it is.
        empty = headers.get("Content-Range", "") == "bytes */0"
        return ("session.question" if asks and not empty else "session.chunk"), ()
    for verb, pattern, kind in _ROUTES:
        match = re.fullmatch(pattern, path) if verb == method else None
        if match is None:
            continue
        if kind == "files.get" and query.get("alt") == "media":
            return "download", match.groups()
        if is_upload(path) and query.get("uploadType") == "resumable":
            return "session.start", match.groups()
        return kind, match.groups()
    return "unknown", ()
