"""Verify: read everything back and name what is damaged."""

from __future__ import annotations

from dataclasses import dataclass

from blake3 import blake3

from holdfast.errors import StoreNotFound
from holdfast.store.keys import Key, printable
from holdfast.store.names import ManifestName
from holdfast.store.progress import Progress, Silent
from holdfast.store.store import Store
from holdfast.store.view import View


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong.

    Args:
        key: The artifact, or None where it is not of one (the sentinel).
        generation: Sequence and id, or empty.
        file: The damaged file: a path below the artifact where one is hit, else a path in the store.
        problem: What is wrong with it.
    """

    key: Key | None
    generation: str
    file: str
    problem: str


def verify(store: Store, view: View, keys: tuple[Key, ...] = (), progress: Progress | None = None) -> list[Damage]:
    """Check every manifest and every byte of payload. Nothing is changed.

    Args:
        store: The store.
        view: A look at it.
        keys: Only what these cover; all where empty.
        progress: Told about the reading.

    Raises:
        StoreUnreadable: something cannot be read now, which is not damage.
    """
    damages = [Damage(None, "", "holdfast.json", view.sentinel_problem)] if view.sentinel_problem else []
    checked: dict[str, str] = {}
    for name in sorted(view.names, key=lambda n: (n.key_code, n.commit)):
        if not keys or _wanted(name, keys):
            damages += _generation(store, name, checked, progress or Silent())
    return damages


def _wanted(name: ManifestName, keys: tuple[Key, ...]) -> bool:
    return name.key is None or any(k.covers(name.key) or name.key.covers(k) for k in keys)


def _generation(store: Store, name: ManifestName, checked: dict[str, str], progress: Progress) -> list[Damage]:
    generation = store.examine(name)
    manifest = generation.manifest
    if manifest is None:
        return [Damage(name.key, str(name.commit), name.path, generation.problem)]
    todo = [(p, s) for p, s in manifest.payloads().items() if p not in checked]
    digests = {r.payload: r.blake3 for r in manifest.files.values() if r.payload}
    digests |= {t.payload: t.blake3 for t in manifest.tars.values()}
    progress.begin("verifying", f"{manifest.key} {name.commit}", len(todo), sum(s for _, s in todo))
    try:
        for path, size in todo:
            checked[path] = _problem(store, path, size, digests[path], progress)
            progress.file_done()
    finally:
        progress.end()
    damages = []
    for record in manifest.files.values():
        payload = record.payload or record.tar or ""
        problem = checked[payload]
        if problem:
            shown = manifest.key.join(record.path)
            damages.append(Damage(manifest.key, str(name.commit), str(shown), f"{printable(payload)} {problem}"))
    hit = {r.tar for r in manifest.files.values()}
    damages += [
        Damage(manifest.key, str(name.commit), printable(t), checked[t]) for t in manifest.tars if checked[t] and t not in hit
    ]
    return damages


def _problem(store: Store, path: str, size: int, digest: str, progress: Progress) -> str:
    """What is wrong with one payload; empty where nothing is."""
    where = store.locate(path, size)
    if where is None:
        store.confirm_healthy()
        try:
            found = store.backend.stat(path).size
        except StoreNotFound:
            return "is missing"
        return f"has {found} bytes instead of {size}"
    hasher = blake3()
    for chunk in store.backend.read(where):
        hasher.update(chunk)
        progress.advance(len(chunk))
    if hasher.hexdigest() == digest:
        return ""
    store.confirm_healthy()
    return "is damaged: its hash does not match"
