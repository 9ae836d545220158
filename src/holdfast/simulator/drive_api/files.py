"""The file resource: an item of the cloud as the API shows it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api.times import write_time
from holdfast.simulator.items import ROOT, SHARED, Item

FOLDER = "application/vnd.google-apps.folder"
BYTES = "application/octet-stream"
#: What the API calls `My Drive`; `root` is an alias that it understands and never answers.
ROOT_ID = "0AHoldfastMyDriveUk9PVA"
SHARED_NAME = "Shared"

#: Every name of the resource, from the discovery document. The simulator has a part of them; the others are never there.
NAMES = frozenset(
    " ".join(
        (
            "appProperties capabilities clientEncryptionDetails contentHints contentRestrictions copyRequiresWriterPermission",
            "createdTime description downloadRestrictions driveId explicitlyTrashed exportLinks fileExtension folderColorRgb",
            "fullFileExtension hasAugmentedPermissions hasThumbnail headRevisionId iconLink id imageMediaMetadata",
            "inheritedPermissionsDisabled isAppAuthorized kind labelInfo lastModifyingUser linkShareMetadata md5Checksum mimeType",
            "modifiedByMe modifiedByMeTime modifiedTime name originalFilename ownedByMe owners parents permissionIds permissions",
            "properties quotaBytesUsed resourceKey sha1Checksum sha256Checksum shared sharedWithMeTime sharingUser shortcutDetails",
            "size spaces starred teamDriveId thumbnailLink thumbnailVersion trashed trashedTime trashingUser version",
            "videoMediaMetadata viewedByMe viewedByMeTime viewersCanCopyContent webContentLink webViewLink writersCanShare",
        )
    ).split()
)
USER = {
    "kind": "drive#user",
    "displayName": "A User",
    "me": True,
    "permissionId": "01234567890123456789",
    "emailAddress": "user@example.com",
}


@dataclass(frozen=True)
class Place:
    """What an item inherits from the folders above it."""

    drive: str  #: id of the drive that it lies in, `root` for My Drive
    trashed: bool
    readonly: bool


def outer(id_: str) -> str:
    """An id as the API says it."""
    return ROOT_ID if id_ == ROOT else id_


def inner(id_: str) -> str:
    """An id as the cloud knows it."""
    return ROOT if id_ == ROOT_ID else id_


def root_item() -> Item:
    """`My Drive` itself, which the cloud keeps no row for."""
    return Item(ROOT, "", "My Drive", True, "", 0, "", 1, False, 0, 0, "", 0.0)


def mime(item: Item, details: dict[str, Any]) -> str:
    """Its type."""
    return FOLDER if item.folder else str(details.get("mimeType", BYTES))


def revision(item: Item) -> str:
    """Id of a content; another one for each."""
    return "0B" + hashlib.blake2b(f"{item.id}|{item.blob}|{item.version}".encode(), digest_size=20).hexdigest()


def resource(cloud: Cloud, item: Item, place: Place) -> dict[str, Any]:
    """All fields of an item that the simulator has."""
    details = cloud.details(item.id)
    may = not place.readonly
    found: dict[str, Any] = {
        "kind": "drive#file",
        "id": outer(item.id),
        "name": item.name,
        "mimeType": mime(item, details),
        "parents": [outer(item.parent)] if item.parent else None,
        "trashed": item.trashed or place.trashed,
        "explicitlyTrashed": item.trashed,
        "starred": bool(details.get("starred", False)),
        "spaces": ["drive"],
        "version": str(max(1, item.change)),
        "createdTime": write_time(details.get("created", item.modified)),
        "modifiedTime": write_time(item.modified),
        "capabilities": {
            "canEdit": may,
            "canAddChildren": may and item.folder,
            "canListChildren": item.folder,
            "canDelete": may and item.id not in (ROOT, SHARED),
            "canTrash": may and item.id not in (ROOT, SHARED),
            "canDownload": not item.folder,
            "canRename": may,
        },
        "quotaBytesUsed": str(item.size),
        "webViewLink": f"https://drive.google.com/{'drive/folders' if item.folder else 'file/d'}/{outer(item.id)}",
        "shared": place.readonly or place.drive != ROOT,
        "ownedByMe": not place.readonly,
        "isAppAuthorized": True,
        "writersCanShare": True,
        "viewedByMe": False,
        **{name: details[name] for name in ("description", "properties", "appProperties", "folderColorRgb") if details.get(name)},
    }
    if place.drive == ROOT:
        found["owners"] = [USER]
    else:
        found["driveId"] = found["teamDriveId"] = place.drive
    if not item.folder:
        sha1, sha256 = cloud.secure_sums(item)
        extension = item.name.rpartition(".")[2] if "." in item.name else ""
        found.update(
            size=str(item.size),
            md5Checksum=item.md5,
            sha1Checksum=sha1,
            sha256Checksum=sha256,
            headRevisionId=revision(item),
            originalFilename=details.get("originalFilename", item.name),
            fileExtension=extension,
            fullFileExtension=extension,
            webContentLink=f"https://drive.google.com/uc?id={item.id}&export=download",
        )
    return {name: value for name, value in found.items() if value is not None}
