"""What the API answers to each kind of request."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import fields
from holdfast.simulator.drive_api.account import Account
from holdfast.simulator.drive_api.faults import Fault, Faults
from holdfast.simulator.drive_api.files import BYTES, NAMES, SHARED_NAME, USER, mime
from holdfast.simulator.drive_api.listing import Listing
from holdfast.simulator.drive_api.messages import Answer, Piece, Request, answer_json
from holdfast.simulator.drive_api.multipart import header, parts
from holdfast.simulator.drive_api.refusals import Refused, invalid
from holdfast.simulator.drive_api.routes import is_upload
from holdfast.simulator.drive_api.sessions import Session, Sessions
from holdfast.simulator.items import SHARED, Content, Item, Sums

_LIST = frozenset(("kind", "incompleteSearch", "nextPageToken", "files"))
_LIST_DEFAULT = "kind,incompleteSearch,nextPageToken,files(kind,id,name,mimeType)"
_FILE_DEFAULT = "kind,id,name,mimeType"
_DRIVE = {"kind": "drive#drive", "id": SHARED, "name": SHARED_NAME}


class Api:
    """Answers requests.

    Args:
        cloud: What Google has.
        folder: For bytes that are on their way.
        faults: What goes wrong.
        epoch: Wall time at which the faults' clock stood at 0.
    """

    def __init__(self, cloud: Cloud, folder: Path, faults: Faults, epoch: float) -> None:
        self._cloud = cloud
        self._folder = folder
        self._faults = faults
        self._account = Account(cloud, faults, epoch)
        self.listing = Listing(self._account, faults)
        self.sessions = Sessions(folder / "sessions", lambda: faults.clock, lambda: faults.odd_chunks, self._finished)
        self._answers: dict[str, Callable[[Request], Answer]] = {
            "about": self._about,
            "files.list": self._list,
            "files.get": self._get,
            "files.create": self._create,
            "files.update": self._update,
            "delete": self._delete,
            "emptyTrash": self._empty_trash,
            "generateIds": self._generate_ids,
            "download": self._download,
            "session.start": self._start,
            "session.cancel": self._cancel,
            "drives.list": lambda request: answer_json({"kind": "drive#driveList", "drives": [_DRIVE]}),
            "drives.get": self._drive,
            "changes.start": lambda request: answer_json(
                {"kind": "drive#startPageToken", "startPageToken": str(self._cloud.last_change())}
            ),
            "changes.list": self._changes,
            "token": lambda request: answer_json(
                {"access_token": f"simulated-{request.number}", "expires_in": 3599, "token_type": "Bearer"}
            ),
        }

    def answer(self, request: Request, fault: Fault | None) -> Answer:
        """Do what is asked.

        Raises:
            Refused: it is not done.
            Cut: the connection ended in the middle of it.
        """
        self.listing.look()
        if request.kind in ("session.chunk", "session.question"):
            return self.sessions.send(request, fault)
        found = self._answers.get(request.kind)
        if found is None:
            raise Refused(404, "notFound", "Not Found")
        return found(request)

    # --- Reading ---

    def _about(self, request: Request) -> Answer:
        if not request.query.get("fields"):
            raise Refused(400, "required", "The 'fields' parameter is required for this method.", location="fields")
        used = str(self._cloud.used())
        quota = {"limit": str(self._cloud.quota), "usage": used, "usageInDrive": used, "usageInDriveTrash": "0"}
        found = {
            "kind": "drive#about",
            "user": USER,
            "storageQuota": quota,
            "maxUploadSize": str(5 * 2**40),
            "canCreateDrives": False,
        }
        return answer_json(fields.select(fields.parse(request.query["fields"]), found))

    def _list(self, request: Request) -> Answer:
        selection = fields.parse(request.query.get("fields") or _LIST_DEFAULT)
        fields.check(selection, _LIST)
        fields.check(selection.get("files"), NAMES)
        return answer_json(fields.select(selection, self.listing.page(request)))

    def _get(self, request: Request) -> Answer:
        return self._shown(request, self._find(request))

    def _find(self, request: Request) -> Item:
        return self._account.find(request.ids[0], shared=_all_drives(request.query))

    def _shown(self, request: Request, item: Item) -> Answer:
        return answer_json(self._resource(item, request.query))

    def _resource(self, item: Item, query: dict[str, str]) -> Any:
        selection = fields.parse(query.get("fields") or _FILE_DEFAULT)
        fields.check(selection, NAMES)
        return fields.select(selection, self._account.show(item))

    def _download(self, request: Request) -> Answer:
        item = self._find(request)
        if item.folder:
            raise Refused(403, "fileNotDownloadable", "Only files with binary content can be directly downloaded.")
        place = self._cloud.content_path(item.blob) if item.blob else Path("/dev/null")
        headers = {"Content-Type": mime(item, self._cloud.details(item.id))}
        asked = request.headers.get("Range")
        if asked is None:
            return Answer(200, Piece(place, 0, item.size), headers)
        start, end = _wanted(asked, item.size)
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{item.size}"
        return Answer(206, Piece(place, start, end - start), headers)

    def _generate_ids(self, request: Request) -> Answer:
        try:
            count = int(request.query.get("count", "10"))
        except ValueError:
            raise invalid("count") from None
        if not 1 <= count <= 1000:
            raise invalid("count")
        return answer_json({"kind": "drive#generatedIds", "space": "drive", "ids": self._cloud.new_ids(count)})

    def _drive(self, request: Request) -> Answer:
        if request.ids[0] != SHARED:
            raise Refused(404, "notFound", f"Shared drive not found: {request.ids[0]}", location="driveId")
        return answer_json(_DRIVE)

    def _changes(self, request: Request) -> Answer:
        """What changed in the whole account, by anybody, without a lag; of what was deleted only the id."""
        try:
            since, size = int(request.query.get("pageToken", "")), max(1, int(request.query.get("pageSize", "100")))
        except ValueError:
            raise invalid("pageToken") from None
        found = self._cloud.all_changes(since)
        page = found[:size] + [each for each in found[size:] if each[0].change == found[size - 1][0].change]  # one change, not cut
        changes = []
        for item, deleted in page:
            change = {"kind": "drive#change", "changeType": "file", "fileId": item.id, "removed": deleted}
            changes.append(change if deleted else {**change, "file": self._account.show(item)})
        more = len(page) < len(found)
        last = page[-1][0].change if more else max(since, self._cloud.last_change())
        token = {"nextPageToken" if more else "newStartPageToken": str(last)}
        selection = fields.parse(request.query.get("fields") or "*")
        return answer_json(fields.select(selection, {"kind": "drive#changeList", "changes": changes, **token}))

    # --- Changing ---

    def _create(self, request: Request) -> Answer:
        meta, content = self._uploaded(request) if is_upload(request.path) else (request.json(), None)
        return self._shown(request, self._account.create(meta, content, shared=_all_drives(request.query)))

    def _update(self, request: Request) -> Answer:
        meta, content = self._uploaded(request) if is_upload(request.path) else (request.json(), None)
        item = self._account.update(
            request.ids[0],
            meta,
            content,
            add=request.query.get("addParents", ""),
            remove=request.query.get("removeParents", ""),
            shared=_all_drives(request.query),
        )
        return self._shown(request, item)

    def _uploaded(self, request: Request) -> tuple[dict[str, Any], Content]:
        """What is said of a small file, and its bytes. Without `uploadType` the type of the body tells *(assumed)*."""
        content_type = request.headers.get("Content-Type", BYTES)
        way = request.query.get("uploadType")
        if way is None:
            way = "multipart" if header(content_type).get_content_maintype() == "multipart" else "media"
        if way == "media":
            meta, kind, data = {}, content_type, request.body.all()
        elif way == "multipart":
            text, kind, data = parts(content_type, request.body.all())
            meta = request.json(text)
        else:
            raise invalid("uploadType")
        meta.setdefault("mimeType", kind)
        place = self._folder / f"upload-{request.number}"
        place.write_bytes(data)
        sums = Sums()
        sums.add(data)
        return meta, self._cloud.take(place, sums)

    def _delete(self, request: Request) -> Answer:
        self._account.delete(request.ids[0], shared=_all_drives(request.query))
        return Answer(204)

    def _empty_trash(self, request: Request) -> Answer:
        self._cloud.empty_trash()
        return Answer(204)

    # --- Sessions ---

    def _start(self, request: Request) -> Answer:
        meta = request.json()
        if kind := request.headers.get("X-Upload-Content-Type"):
            meta.setdefault("mimeType", kind)
        length = request.headers.get("X-Upload-Content-Length")
        shared = _all_drives(request.query)
        self._account.check_writable(meta)
        total = None if length is None else int(length)
        updates = request.ids[0] if request.ids else None
        if updates is not None:
            before = self._account.find(updates, shared=shared).size
            self._account.check_limits("", is_folder=False, growth=(total or 0) - before, sends=bool(total))
        else:
            folder = self._account.folder_for(meta, shared=shared)
            self._account.check_new_id(meta)
            self._account.check_limits(folder.id, is_folder=False, growth=total or 0, sends=bool(total))
        session = self.sessions.begin(meta, updates, request.query, total)
        address = f"{request.origin}{request.path}?uploadType=resumable&upload_id={session.id}"
        return Answer(200, b"", {"Location": address, "X-GUploader-UploadID": session.id})

    def _finished(self, session: Session) -> Answer:
        if session.content is None:
            session.content = self._cloud.take(session.place, session.sums)
        content = session.content
        shared = _all_drives(session.query)
        if session.updates is None:
            item = self._account.create(session.meta, content, shared=shared)
        else:
            item = self._account.update(session.updates, session.meta, content, shared=shared)
        return answer_json(self._resource(item, session.query))

    def _cancel(self, request: Request) -> Answer:
        self.sessions.find(request.query["upload_id"])
        self.sessions.forget(request.query["upload_id"])
        return Answer(499)


def _all_drives(query: dict[str, str]) -> bool:
    return query.get("supportsAllDrives", query.get("supportsTeamDrives", "false")).lower() == "true"


def _wanted(text: str, size: int) -> tuple[int, int]:
    """First byte and end of what a `Range` asks for.

    Raises:
        Refused: 416 where there is nothing of it.
    """
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", text.strip())
    if match is None or (not match[1] and not match[2]):
        return 0, size
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size)
    if start >= end:
        raise Refused(
            416, "requestedRangeNotSatisfiable", "Request range not satisfiable", headers={"Content-Range": f"bytes */{size}"}
        )
    return start, end
