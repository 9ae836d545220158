"""The answer of a restore, once it is known what came of it, in words for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from holdfast.store.deciding.choose import say
from holdfast.store.format.keys import Key, printable
from holdfast.store.format.manifest import Manifest
from holdfast.store.local.here import twins_here
from holdfast.store.local.needed import Needed, say_twins
from holdfast.store.local.workspace import Workspace
from holdfast.store.reporting.outcomes import Outcome, Restored

log = logging.getLogger(__name__)


def untouched(key: Key, prefix: str, manifest: Manifest, need: Needed, warnings: list[str]) -> Restored:
    """The answer where nothing is done: somebody has to say which side counts, or no name is left for it here."""
    if need.why:
        return _differs(key.join(prefix), manifest, need.why, warnings)
    return answer_with_twins(Restored(key.join(prefix), Outcome.LOCAL, manifest.commit.id), key, prefix, need.twins)


def what_came(
    workspace: Workspace,
    key: Key,
    prefix: str,
    manifest: Manifest,
    need: Needed,
    appeared: tuple[str, ...],
    warnings: list[str],
) -> Restored:
    """The answer once what was needed is in place."""
    twins = {**need.twins, **(twins_here(workspace, key, appeared) if appeared else {})}
    for path in (p for p in appeared if p not in twins):
        say(warnings, f"{key.join(path)} appeared during the restore; the local file was kept")
    came = len(need.files) + len(need.links) - len(appeared)
    outcome = Outcome.MERGED if need.others else Outcome.RESTORED if came or not appeared else Outcome.LOCAL
    said, size = say_others(key, prefix, manifest, need.others, warnings), sum(r.size for r in need.files)
    result = Restored(key.join(prefix), outcome, manifest.commit.id, "", said, len(need.files), size)
    return answer_with_twins(result, key, prefix, twins)


def answer_with_twins(result: Restored, key: Key, prefix: str, twins: Mapping[str, str]) -> Restored:
    """The answer where something could not come because this file system cannot tell its name from another: it is not true."""
    return replace(result, outcome=Outcome.FAILED, error=say_twins(key, prefix, twins)) if twins else result


def _differs(key: Key, manifest: Manifest, why: str, warnings: list[str]) -> Restored:
    error = (
        f"{key}: {why} differs from the store's generation {manifest.commit}, and nobody here took it from there; nothing was "
        f"touched. `holdfast ensure --prefer store {key}` takes the store's and moves what is here aside, `--prefer local` keeps "
        "what is here"
    )
    return Restored(key, Outcome.DIFFERS, manifest.commit.id, error, tuple(warnings))


def say_others(key: Key, prefix: str, manifest: Manifest, others: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
    """The warnings, and what is said of files here that differ and stay."""
    if others:
        named = f"{printable(others[0])}{f' and {len(others) - 1} more' if len(others) > 1 else ''}"
        text = (
            f"{key.join(prefix)}: {named} here differs from generation {manifest.commit} and stays; what was missing came from it"
        )
        log.warning("%s", text)
        return (*warnings, text)
    return tuple(warnings)
