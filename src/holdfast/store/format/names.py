"""The grammar of names in the store (FORMAT.md, "Names").

Every name that Holdfast makes carries the sequence and the random id of the commit that wrote it, so a name is written
once and by one commit. Pure functions, no disk.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote, unquote

from blake3 import blake3

from holdfast.store.format.keys import MAX_COMPONENT_BYTES, Key, check_relative

SENTINEL = "holdfast.json"
GENERATIONS = "generations"
ARTIFACTS = "artifacts"
#: Signs of life of the sessions that write here.
SESSIONS = "sessions"
#: In the marks of an artifact, the folder that tells the artifact from a folder above one. No key has this part.
MARK = "@"
TAR_STEM = "small-files"
#: A file with holes travels in a tar, and its payload is named so.
SPARSE_SUFFIX = ".sparse.tar"
#: What differs of a file is no file of its kind, and its name says so.
PIECES_SUFFIX = ".pieces"
PROBE_PREFIX = "holdfast-probe-"
NO_PARENT = "00000000"
#: Escaped keys longer than this are cut and closed with a hash, so that a manifest's name stays below 255 bytes.
MAX_KEY_CODE = 180

_COMMIT = r"(?P<sequence>[0-9]{6,12})-(?P<id>[0-9a-f]{8})"
_PAYLOAD = re.compile(rf"(?P<stem>.*)@{_COMMIT}(?:-(?P<attempt>[0-9]{{1,4}}))?(?P<suffix>\.[^@]*)?", re.DOTALL)
_MANIFEST = re.compile(rf"(?P<key>[A-Za-z0-9._%~-]+)@{_COMMIT}-(?P<parent>[0-9a-f]{{8}})\.json")
_TWIN = re.compile(r"(?P<stem>.+) \((?P<n>[0-9]{1,3})\)(?P<suffix>\.[^.]*)?", re.DOTALL)
_CUT = "%%"


@dataclass(frozen=True, order=True)
class CommitId:
    """Sequence (1 and up) and random id (eight hex digits) of one commit."""

    sequence: int
    id: str

    def __str__(self) -> str:
        return f"{self.sequence:06d}-{self.id}"


@dataclass(frozen=True)
class ManifestName:
    """What the name of a manifest says, before a byte of it is read."""

    key_code: str
    commit: CommitId
    parent: str | None
    folder: str = GENERATIONS

    @property
    def file(self) -> str:
        """The file name."""
        return f"{self.key_code}@{self.commit}-{self.parent or NO_PARENT}.json"

    @property
    def path(self) -> str:
        """The path in the store."""
        return f"{self.folder}/{self.file}"

    @property
    def key(self) -> Key | None:
        """The key, or None where the name was cut and only the manifest tells."""
        return decode_key(self.key_code)


def key_code(key: Key) -> str:
    """The key as part of a file name: ASCII only, `/` as `~`, everything unusual percent-encoded.

    Injective: two keys never share a code (a cut code carries 128 bits of the key's hash).
    """
    code = "~".join(quote(part, safe="").replace("~", "%7E") for part in key.parts)
    if len(code) <= MAX_KEY_CODE:
        return code
    digest = blake3(key.value.encode()).hexdigest(length=16)
    return f"{code[: MAX_KEY_CODE - 34]}{_CUT}{digest}"


def decode_key(code: str) -> Key | None:
    """The key of a code, or None where the code was cut.

    Raises:
        ValueError: no key has this code.
    """
    if _CUT in code:
        return None
    path = "/".join(unquote(part, errors="strict") for part in code.split("~"))
    if check_relative(path) is not None:
        raise ValueError(f"{code!r} is not the code of a key")
    return Key(path)


def parse_manifest_name(name: str, folder: str = GENERATIONS) -> ManifestName | None:
    """Read a manifest's file name; None for any other name."""
    match = _MANIFEST.fullmatch(name)
    if match is None:
        return None
    parent = None if match["parent"] == NO_PARENT else match["parent"]
    try:
        key = decode_key(match["key"])
    except ValueError:
        return None
    if key is not None and key_code(key) != match["key"]:
        return None  # another spelling of a code, which we never write
    return ManifestName(match["key"], CommitId(int(match["sequence"]), match["id"]), parent, folder)


def parse_payload_name(name: str) -> CommitId | None:
    """The commit that wrote a payload of this name; None where the name is not of our grammar."""
    match = _PAYLOAD.fullmatch(name)
    return None if match is None else CommitId(int(match["sequence"]), match["id"])


def payload_names(local: str, commit: CommitId) -> Iterator[str]:
    """Names for the payload of a file called `local`, best first: each next one serves a retry in the same commit.

    `study.db` gives `study@000041-9f31c2ab.db`, then `study@000041-9f31c2ab-2.db`. Control characters, and characters
    that common file systems refuse, become `_`; a name over 255 bytes is cut and closed with a hash.
    """
    stem, dot, suffix = local.rpartition(".")
    if not stem or len(suffix.encode()) > 16 or "@" in suffix:
        stem, dot, suffix = local, "", ""
    tail = f"{dot}{_tame(suffix)}"
    for attempt in range(1, 1000):
        middle = f"@{commit}" + (f"-{attempt}" if attempt > 1 else "")
        yield _fit(_tame(stem), local, len((middle + tail).encode())) + middle + tail


def names_payload_of(name: str, local: str, commit: CommitId) -> bool:
    """True where a payload of this name can have been made for a file called `local` in this commit."""
    match = _PAYLOAD.fullmatch(name)
    attempts = int(match["attempt"] or 1) if match is not None else 0
    return attempts > 0 and name == next(islice(payload_names(local, commit), attempts - 1, None), None)


def payload_folder(key: Key, relative: str) -> str:
    """The folder in the store that mirrors the folder of a file: key, and path of the file below it."""
    folder = key.join(relative).parts[:-1]
    return "/".join(_fit(_tame(part), part, 0) for part in folder)


def mark_folder(key: Key) -> str:
    """The folder in the store that is there once something at or below this key was known to be safe (`mark` for the key itself).

    Injective like `key_code`, and found by name alone: it does not depend on a listing.
    """
    return "/".join((ARTIFACTS, *(_fit(quote(part, safe=" "), part, 0) for part in key.parts)))


def mark(key: Key) -> str:
    """The folder that is there once a generation of this very artifact was known to be safe."""
    return f"{mark_folder(key)}/{MARK}"


def _tame(name: str) -> str:
    tamed = "".join("_" if unicodedata.category(c) == "Cc" or c in '\\:*?"<>|' else c for c in name)
    return tamed[:-1] + "_" if tamed.endswith((" ", ".")) else tamed


def _fit(tamed: str, original: str, reserved: int) -> str:
    room = MAX_COMPONENT_BYTES - reserved
    raw = tamed.encode()
    if len(raw) <= room:
        return tamed
    digest = blake3(original.encode()).hexdigest(length=8)
    return f"{raw[: room - 17].decode(errors='ignore')}-{digest}"


def twin_of(name: str) -> str | None:
    """The name whose twin this is (`hpo (1)` gives `hpo`, `a (2).db` gives `a.db`), or None.

    Drive lets two files in a folder share a name; its mount shows the second as `name (1)` (colabtools issue 6106).
    """
    match = _TWIN.fullmatch(name)
    return None if match is None else match["stem"] + (match["suffix"] or "")
