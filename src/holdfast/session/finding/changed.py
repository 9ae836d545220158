"""Which files here no generation holds as they are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.store.format.keys import Key
from holdfast.store.format.manifest import Manifest
from holdfast.store.live.side_files import side_files
from holdfast.store.local.disk import local_errors, lstat_or_none
from holdfast.store.local.records import Here, Record, Signature
from holdfast.store.local.scan import Found, Scan, walk
from holdfast.store.local.workspace import Workspace

if TYPE_CHECKING:
    from holdfast.store.copies.snapshot import Snapshot


def goes(path: str, waiting: Sequence[Snapshot]) -> bool:
    """Whether the last copy that looked at a path found nothing there."""
    last = next((s for s in reversed(waiting) if s.covers(path)), None)
    return last is not None and path not in last.found


def changed_beside(scan: Scan, base: Manifest | None) -> list[str]:
    """Links and folders here that the base has not, or otherwise. A folder's time alone is no change."""
    links = [p for p, target in scan.links.items() if base is None or base.links.get(p) != target]
    if base is None or base.format == 1:
        return links
    return [*links, *(p for p, f in scan.folders.items() if p not in base.folders or base.folders[p].mode != f.mode)]


def differs(workspace: Workspace, key: Key, path: str, found: Found, record: Record) -> bool:
    """As the next backup would see it. A live database counts as changed while it has side files."""
    known, base = record.here.get(path), record.base.files.get(path) if record.base else None
    # A mode can change unseen by the signature: dropping a hard link moves the ctime as well, and it is taken anew then.
    if known is None or (base is not None and base.mode != found.mode):
        return True
    sparse = base is not None and base.sparse is not None
    if known.signature != found.signature and not _is_other_name(workspace, workspace.local(key.join(path)), known, sparse=sparse):
        return True
    return base is not None and base.sqlite and bool(side_files(workspace.local(key.join(path))))


def is_still(workspace: Workspace, key: Key, record: Record, inner: Sequence[str]) -> bool:
    """Whether an artifact is here exactly as its base holds it. Opens no file but where nothing else tells.

    Args:
        workspace: What is here.
        key: The artifact.
        record: What is remembered of it.
        inner: Relative paths that belong to inner artifacts.

    Raises:
        LocalError, Refused: it cannot be looked at.
    """
    base = record.base
    if base is None or lstat_or_none(workspace.local(key)) is None:
        return False
    scan = walk(workspace, key, owned=tuple(inner), strict=True)
    if scan.files.keys() != base.files.keys() or changed_beside(scan, base):
        return False
    return not any(differs(workspace, key, path, found, record) for path, found in scan.files.items())


def _is_other_name(workspace: Workspace, place: Path, known: Here, *, sparse: bool) -> bool:
    """True where a file is unchanged but for its ctime, which a backup under another of its names moves.

    This is the one case in which status reads content, because no signature could ever tell for such a file.
    """
    now = lstat_or_none(place)
    if now is None or now.st_nlink == 1 or not known.signature.same_content(Signature.of(now)):
        return False
    from holdfast.store.copies.inspecting import hash_content

    with local_errors():
        return workspace.read(functools.partial(hash_content, sparse=sparse), str(place), size=now.st_size) == known.blake3
