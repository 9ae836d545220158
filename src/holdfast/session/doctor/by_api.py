"""Drive's API beside its mount, or in its place: whether it answers, and what it says of what the mount says."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, StoreError
from holdfast.platform import get_attribute
from holdfast.session.config import Config
from holdfast.session.doctor.findings import Finding, bad, good, note
from holdfast.session.doctor.patience import Answer, Patience
from holdfast.session.drive_api import DriveFolder, open_api
from holdfast.store.backends.backend import Space
from holdfast.store.backends.drive import LOCAL_ID, DriveBackend
from holdfast.store.format.names import ManifestName
from holdfast.store.reporting.amounts import size
from holdfast.store.reporting.durability import Durability

if TYPE_CHECKING:
    from holdfast.store.backends.api.backend import ApiBackend

#: So many of the newest manifests are asked about.
_MANIFESTS = 20
_PREFIX = "holdfast-doctor-"
_TOPIC = "drive api"
SAFE = "has it"

#: What Drive itself says of a file in a folder beside the store, by its name, its bytes and the id that the mount names.
Ask = Callable[[str, str, bytes, str | None], str]


@dataclass(frozen=True)
class Pair:
    """What is said of one file: by the mount, and by Drive itself, which is nothing where it cannot be asked."""

    mount: Durability
    drive: str


def second_opinion(config: Config, folder: Path, state: Path, patience: Patience) -> tuple[ApiBackend | None, list[Finding]]:
    """The API beside a mount, and how it answers."""
    place = DriveFolder.below_mount(folder, config.mount_point)
    if place is None or config.api == "off":
        why = "drive.api is off in config/paths.yaml" if place is not None else "the folder is not in My Drive"
        return None, [note(_TOPIC, f"not asked: {why}")]
    opened: Answer[ApiBackend | bool] = patience.ask(
        "signing in for Drive's API", lambda: open_api(config, place, state, hurried=True) or False
    )
    if not opened.came:
        return None, [note(_TOPIC, f"not asked: {opened.text or opened.error or 'it did not come back'}")]
    backend = opened.got()
    if isinstance(backend, bool):
        return None, [
            note(
                _TOPIC,
                "not asked: nothing here gives a token, so the mount's own word is all there is; on Colab run in a cell: from "
                "google.colab import auth; auth.authenticate_user()",
            )
        ]
    checked = patience.ask("asking Drive's API for the folder", lambda: _is_there(backend))
    if checked.came:
        return backend, [
            good(_TOPIC, f"it shows {backend.tree.shown()[: -len(backend.name)] or 'My Drive'}, in {checked.seconds:.1f} s")
        ]
    return None, [note(_TOPIC, f"it does not show the folder of the mount: {checked.text or checked.error}")]


def _is_there(backend: ApiBackend) -> bool:
    backend.check()
    return True


def asking(backend: ApiBackend | None) -> Ask | None:
    """Asks Drive itself of one file that the mount was given."""
    if backend is None:
        return None
    from holdfast.store.backends.api.witness import Seen, Written

    def ask(folder: str, name: str, data: bytes, id_: str | None) -> str:
        written = Written(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), id_)
        try:
            seen = backend.beside(folder).witness.look({name: written})[name]
        except StoreError as error:
            return f"({type(error).__name__})"
        return SAFE if seen is Seen.SAFE else seen.value

    return ask


def id_of(file: Path) -> str | None:
    """The id in Drive that the mount names, as it is written; None for one that the mount made up until there is one."""
    try:
        found = get_attribute(file, "user.drive.id").strip()
    except OSError:
        return None
    return None if not found or found.lower().startswith(LOCAL_ID) else found.decode("ascii", "replace")


def two_words(backend: ApiBackend, mount: DriveBackend, names: Sequence[ManifestName], patience: Patience) -> list[Finding]:
    """Both verdicts about the newest manifests of the store, side by side."""
    newest = sorted(names, key=lambda n: n.commit, reverse=True)[:_MANIFESTS]
    answer = patience.ask("asking both about the newest manifests", lambda: _pairs(backend, mount, [n.path for n in newest]))
    if not answer.came:
        return [note("two words", f"not compared: {answer.text or answer.error or 'it did not come back'}")]
    return [said(answer.got())] if newest else []


def _pairs(backend: ApiBackend, mount: DriveBackend, paths: Sequence[str]) -> list[Pair]:
    from holdfast.store.backends.api.witness import Written

    written = {}
    for path in paths:
        data = b"".join(mount.read(path))
        written[path] = Written(len(data), hashlib.md5(data, usedforsecurity=False).hexdigest(), id_of(Path(mount.location) / path))
    seen = backend.witness.look(written)
    return [Pair(mount.durability([path], path), seen[path].name) for path in paths]


def said(pairs: Sequence[Pair]) -> Finding:
    """What two verdicts come to. Pure."""
    mount, drive = Counter(p.mount.value for p in pairs), Counter(p.drive for p in pairs)
    text = (
        f"of the {len(pairs)} newest manifests the mount says {_counted(mount)}, and Drive itself {_counted(drive)}; the second "
        "word is the one that counts"
    )
    false = sum(p.mount is Durability.CONFIRMED and p.drive in ("OTHER", "TRASHED") for p in pairs)
    if false:
        return bad(
            "two words", f"{text}; {false} that the mount confirms Drive has otherwise: the mount's attributes are not true here"
        )
    return good("two words", text)


def _counted(found: Counter[str]) -> str:
    return ", ".join(f"{word} {count}" for word, count in sorted(found.items()))


# -- a store that is reached by the API alone ---------------------------------------------------------------------------


def examine_api(store: ApiBackend, patience: Patience) -> list[Finding]:
    """Whether a store by Drive's API can be written, read and listed. Makes and removes one folder beside it."""
    checked = patience.ask("asking Drive's API for the folder", lambda: _is_there(store))
    if not checked.came:
        return [bad(_TOPIC, checked.text or checked.error or "it did not come back")]
    findings = [good(_TOPIC, f"{store.location}, answered in {checked.seconds:.1f} s")]
    room = patience.ask("asking for the free space", lambda: store.space() or False)
    if room.came and isinstance(space := room.got(), Space):
        findings.append(good("free space", f"{size(space.free)} of {size(space.total)} are free (the quota of the account)"))
    tried = patience.ask("writing, reading and listing", functools.partial(_try, store))
    if tried.came:
        findings.append(good("latency", tried.got()))
    else:
        findings.append(bad("writing", tried.text or tried.error or "it did not come back"))
    return findings


def _try(store: ApiBackend) -> str:
    scratch = store.beside(f"{_PREFIX}{secrets.token_hex(4)}")
    data, times = secrets.token_bytes(4096), {}
    calls: dict[str, Callable[[], object]] = {
        "create": lambda: scratch.create("file", lambda: (data,)),
        "stat": lambda: scratch.stat("file"),
        "read": lambda: b"".join(scratch.read("file")),
        "list": lambda: scratch.list(""),
    }
    try:
        for what, call in calls.items():
            began = time.perf_counter()
            call()
            times[what] = time.perf_counter() - began
    finally:
        with contextlib.suppress(HoldfastError):
            scratch.remove_folder()
    return ", ".join(f"{what} {seconds * 1000:.0f} ms" for what, seconds in times.items()) + " (4 KiB, the folder included)"
