"""A store on the simulated API, looked into past it; and a client whose waits cost nothing."""

from __future__ import annotations

from pathlib import Path

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.items import ROOT, Item
from holdfast.store.backends.api.backend import ApiBackend
from holdfast.store.backends.api.notes import Notes
from holdfast.store.backends.api.transport import Address, Transport, Waits
from holdfast.testing.backends import Place
from tests.support import PROJECT

TOKEN = "ya29.a-token-that-nobody-may-see"


def token(fresh: bool) -> str:
    return TOKEN


def transport(api: DriveApi, *, attempts: int = 8) -> Transport:
    waits = Waits((0.0,) * attempts, sleep=lambda seconds: None)
    return Transport(token, address=Address(api.address, str(api.certificate)), waits=waits)


def backend(
    api: DriveApi, folder: str = "", *, notes: Path | None = None, piece: int = 1 << 20, project: str = PROJECT
) -> ApiBackend:
    return ApiBackend(transport(api), folder, project, notes=Notes(notes), piece=piece)


class InCloud(Place):
    """Past the backend by what the cloud itself has."""

    def __init__(self, made: ApiBackend, folder: Path, scratch: Path) -> None:
        super().__init__(made)
        self.cloud = Cloud(folder, machine="somebody")
        self._scratch = scratch
        self._project = PROJECT

    def put(self, path: str, data: bytes) -> None:
        parent = ROOT
        *folders, name = f"{self._project}/{path}".split("/")
        for part in folders:
            found = [i for i in self._in(parent) if i.name == part and i.folder]
            parent = found[0].id if found else self.cloud.create(parent, part, None).id
        self._scratch.write_bytes(data)
        self.cloud.create(parent, name, self.cloud.keep(self._scratch))

    def get(self, path: str) -> bytes | None:
        found = [i for p, i in self.all() if p == path and not i.folder]
        assert len(found) < 2, f"{path} is there {len(found)} times"
        return self.cloud.content_path(found[0].blob).read_bytes() if found and found[0].blob else (b"" if found else None)

    def paths(self) -> set[str]:
        return {path for path, item in self.all() if not item.folder}

    def all(self) -> list[tuple[str, Item]]:
        items = {i.id: i for i in self.cloud.everything() if not i.trashed}

        def place(item: Item) -> str:
            above = items.get(item.parent)
            return item.name if above is None else f"{place(above)}/{item.name}"

        named = [(place(i), i) for i in items.values()]
        return [(p.removeprefix(f"{self._project}/"), i) for p, i in named if p.startswith(f"{self._project}/")]

    def _in(self, parent: str) -> list[Item]:
        return [i for i in self.cloud.everything() if i.parent == parent and not i.trashed]
