"""Verify: read everything back and name what is damaged."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from blake3 import blake3

from holdfast.errors import Corrupt, StoreNotFound
from holdfast.store.format.entries import FileRecord, Sparse
from holdfast.store.format.keys import Key, printable
from holdfast.store.format.names import ManifestName
from holdfast.store.format.sparse_reading import check
from holdfast.store.format.tars import hash_members
from holdfast.store.local.disk import local_errors
from holdfast.store.looking.view import View
from holdfast.store.store import Store
from holdfast.store.transfer.fetch import assemble
from holdfast.store.transfer.progress import Progress, Silent


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
    contents: dict[str, _Content] = {}
    for name in sorted(view.names, key=lambda n: (n.key_code, n.commit)):
        if not keys or _wanted(name, keys):
            damages += _generation(store, name, contents, progress or Silent())
    return damages


def _wanted(name: ManifestName, keys: tuple[Key, ...]) -> bool:
    return name.key is None or any(k.covers(name.key) or name.key.covers(k) for k in keys)


@dataclass(frozen=True)
class _Content:
    """What really lies at one payload path.

    Args:
        problem: Why it is nothing.
        size: Bytes.
        blake3: Its hash.
        members: Of a tar, its regular members with length and hash.
        sparse: Of a file with holes, its length and hash; or why it is none.
    """

    problem: str = ""
    size: int = -1
    blake3: str = ""
    members: Mapping[str, tuple[int, str]] | None = None
    sparse: tuple[int, str] | str = ""


def _generation(store: Store, name: ManifestName, contents: dict[str, _Content], progress: Progress) -> list[Damage]:
    generation = store.examine(name)
    manifest = generation.manifest
    if manifest is None:
        return [Damage(name.key, str(name.commit), name.path, generation.problem)]
    todo = [(p, s) for p, s in manifest.payloads().items() if p not in contents]
    holes = {r.payload: r.size for r in manifest.files.values() if r.sparse is not None}
    progress.begin("verifying", f"{manifest.key} {name.commit}", len(todo), sum(s for _, s in todo))
    try:
        for path, size in todo:
            contents[path] = _read(store, path, size, path in manifest.tars, holes.get(path), progress)
            progress.file_done()
    finally:
        progress.end()
    damages = []
    broken = {t.payload: _compare(contents[t.payload], t.size, t.blake3) for t in manifest.tars.values()}
    for record in manifest.files.values():
        if record.pieces:
            payload, problem = record.pieces[0].payload, _compare_pieces(store, record, contents)
        elif record.payload is not None and record.sparse is not None:
            payload, problem = record.payload, _compare_sparse(contents[record.payload], record, record.sparse)
        elif record.payload is not None:
            payload, problem = record.payload, _compare(contents[record.payload], record.size, record.blake3)
        else:
            payload = record.tar or ""
            problem = broken[payload] or _compare_member(contents[payload], record)
        if problem:
            shown = str(manifest.key.join(record.path))
            damages.append(Damage(manifest.key, str(name.commit), shown, f"{printable(payload)} {problem}"))
    used = {r.tar for r in manifest.files.values()}
    damages += [Damage(manifest.key, str(name.commit), printable(t), why) for t, why in broken.items() if why and t not in used]
    return damages


def _compare(content: _Content, size: int, digest: str) -> str:
    """What is wrong with a payload, held against one claim about it; empty where nothing is."""
    if content.problem:
        return content.problem
    if content.size != size:
        return f"has {content.size} bytes instead of {size}"
    return "" if content.blake3 == digest else "is damaged: its hash does not match"


def _compare_pieces(store: Store, record: FileRecord, contents: Mapping[str, _Content]) -> str:
    """A payload of pieces has no hash of its own: the file is put together, and its hash decides."""
    for piece in record.pieces:
        if (problem := contents[piece.payload].problem) or contents[piece.payload].size != piece.size:
            return problem or f"has {contents[piece.payload].size} bytes instead of {piece.size}"
    with local_errors(), tempfile.TemporaryFile() as scratch:
        whole = assemble(store, record, scratch, Silent(), record.path)
    return "" if whole == record.blake3 else "or another of its payloads is damaged: the hash of the pieces does not match"


def _compare_sparse(content: _Content, record: FileRecord, claimed: Sparse) -> str:
    problem = _compare(content, claimed.size, claimed.blake3)
    if problem or content.sparse == (record.size, record.blake3):
        return problem
    return content.sparse if isinstance(content.sparse, str) and content.sparse else "holds a file of other content"


def _compare_member(content: _Content, record: FileRecord) -> str:
    found = (content.members or {}).get(record.member)
    if found is None:
        return "does not hold it as a plain file"
    return "" if found == (record.size, record.blake3) else "holds it with other content"


def _read(store: Store, path: str, size: int, is_tar: bool, holes: int | None, progress: Progress) -> _Content:
    where = store.locate(path, size)
    if where is None:
        store.confirm_healthy()
        try:
            return _Content(f"has {store.backend.stat(path).size} bytes instead of {size}")
        except StoreNotFound:
            return _Content("is missing")
    hasher, length = blake3(), 0
    with tempfile.TemporaryFile() as scratch:

        def chunks() -> Iterator[bytes]:
            nonlocal length
            for chunk in store.backend.read(where):
                hasher.update(chunk)
                length += len(chunk)
                progress.advance(len(chunk))
                if is_tar:
                    with local_errors():
                        scratch.write(chunk)
                yield chunk

        members: Mapping[str, tuple[int, str]] | None = None
        sparse: tuple[int, str] | str = ""
        problem = ""
        rest = chunks()
        if holes is not None:
            try:
                sparse = (holes, check(rest, holes))
            except Corrupt as error:
                sparse = str(error)
        for _ in rest:
            pass
        if is_tar:
            try:
                members = hash_members(scratch)
            except Corrupt as error:
                problem = str(error)
    return _Content(problem, length, hasher.hexdigest(), members, sparse)
