"""What a workspace remembers of a large artifact, told as what is other than in a record that was written before.

So one changed file of ten thousand does not have the other rows written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from holdfast.errors import Corrupt
from holdfast.store.format.manifest import Kind
from holdfast.store.local.records import Record, digest_of, record_from_json, record_to_json

T = TypeVar("T")

#: A record of fewer files is written whole.
_LARGE = 100
#: And so is one of which more than one of so many files is told otherwise.
_SHARE = 8


def changes_to_json(record: Record, whole: Record, seal: str) -> dict[str, Any] | None:
    """What a record says otherwise than one that was written whole, as plain data; None where it is better written whole too.

    Args:
        record: What is remembered now.
        whole: The record that was written.
        seal: Its digest.
    """
    base, before = record.base, whole.base
    if base is None or before is None or base.kind is not Kind.DIRECTORY or len(whole.here) < _LARGE:
        return None
    files, here = _other(base.files, before.files), _other(record.here, whole.here)
    gone, gone_here = [p for p in before.files if p not in base.files], [p for p in whole.here if p not in record.here]
    if (len(files) + len(here) + len(gone) + len(gone_here)) * _SHARE > len(whole.here):
        return None
    apart = replace(record, base=replace(base, files=files, hard_links=()), here=here)
    return {
        "whole": seal,
        "digest": digest_of(base),
        "changes": record_to_json(apart),
        "hard_links": [list(group) for group in base.hard_links],
        "gone": gone,
        "gone_here": gone_here,
    }


def with_changes(whole: Record, seal: str, body: Mapping[str, Any]) -> Record | None:
    """The record of which `changes_to_json` told what is other in it; None where that was told of another one.

    Raises:
        Corrupt, KeyError, TypeError: it is not what was told.
    """
    if body["whole"] != seal:
        return None
    apart, before = record_from_json(body["changes"]), whole.base
    if apart.base is None or before is None:
        raise Corrupt("a record that names changes names no generation")
    groups = tuple(tuple(group) for group in body["hard_links"])
    base = replace(apart.base, files=_with(before.files, apart.base.files, body["gone"]), hard_links=groups)
    base.encoded_after(before)
    if digest_of(base) != body["digest"]:
        raise Corrupt("a record and what changed in it do not fit together")
    return replace(apart, base=base, here=_with(whole.here, apart.here, body["gone_here"]))


def _other(now: Mapping[str, T], before: Mapping[str, T]) -> dict[str, T]:
    """What is not the very object that was there before: nearly all of it is, and those need no comparing."""
    return {path: value for path, value in now.items() if before.get(path) is not value}


def _with(before: Mapping[str, T], changed: Mapping[str, T], gone: list[str]) -> dict[str, T]:
    left = dict(before)
    for path in gone:
        del left[path]
    return {**left, **changed}
