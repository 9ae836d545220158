"""Files whose signature is that of the base and proves nothing: their content is looked at before anybody calls them safe."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.store.copies.inspecting import look_again
from holdfast.store.copies.wanted import Terms, Wanted
from holdfast.store.format.keys import Key
from holdfast.store.local.records import Record
from holdfast.store.local.workspace import Workspace


def changed_unseen(workspace: Workspace, key: Key, paths: Iterable[str], record: Record) -> set[str]:
    """Those of the paths whose content is not that of the base, although their signature is.

    Costs nothing for a file whose signature proves its content: one that was at rest when it was taken, and that nobody had
    mapped. Any other is read, once where it rests by now, and every time where a program holds it open for writing.

    Args:
        workspace: Where they lie.
        key: The artifact.
        paths: Below it, each with the signature that is remembered.
        record: What is remembered.

    Raises:
        LocalError: they cannot be looked at.
    """
    wanted, follow = [], workspace.keeping.follow
    for path in paths:
        known, base = record.here[path], record.base.files.get(path) if record.base else None
        if base is None or known.trusted or workspace.proven.get((key, path)) == known:
            continue
        wanted.append(
            Wanted(
                path,
                str(workspace.local(key.join(path))),
                known.signature,
                base=base.blake3,
                base_sparse=base.sparse is not None,
                was_database=base.sqlite,
                followed=key.join(path) in follow,
            )
        )
    if not wanted:
        return set()
    with workspace.scratch() as folder:
        device, proof = workspace.proof_at(folder)
        terms = Terms(str(folder), {device: proof}, links=False)
        looked = workspace.read(look_again, tuple(wanted), terms, size=sum(one.signature.size for one in wanted))
    for look in looked:
        known = record.here[look.path]
        if look.same and look.proven and look.here == known.signature:
            workspace.proven[key, look.path] = known
    return {look.path for look in looked if not look.same}
