"""Weights & Biases: an offline run below the outputs, or what `WANDB_MODE` says.

Nothing can be added to an offline run that was closed, and one that is open lags behind what was logged. So it is written when the
training is over, all of it, beside its place, and moved there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb

from holdfast.pipeline.tracking.journal import Journal, Row


class _Wandb:
    """See `Tracker`.

    Args:
        store: Where offline runs go; None where rows go to a server.
        mode: As `wandb.init` takes it, which refuses others.
    """

    def __init__(self, store: Path | None, mode: Any) -> None:
        self._store = store
        self._mode = mode
        self._scratch = Path(tempfile.mkdtemp(prefix="holdfast-wandb-"))
        self._runs: dict[str, Any] = {}

    def last(self, journal: Journal, folder: Path) -> int | None:
        if self._store is not None and not journal.ended:
            return None
        run = journal.run
        self._runs[run.key] = opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or run.experiment,
            name=run.name,
            id=run.key,
            group=run.group,
            config=dict(journal.parameters),
            dir=str(self._scratch),
            mode=self._mode,
            resume="allow",
            reinit="create_new",
            settings=wandb.Settings(console="off", disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True),
        )
        return int(opened.starting_step) - 1

    def add(self, journal: Journal, folder: Path, rows: Sequence[Row]) -> None:
        key = journal.run.key
        for row in rows:
            self._runs[key].log(dict(row.metrics), step=row.step)
        if journal.ended:
            self._runs.pop(key).finish(exit_code=0 if journal.ended == "FINISHED" else 1)
            self._move(key)

    def _move(self, key: str) -> None:
        """Put the offline run in its place, without the links to this machine's caches that are in it."""
        if self._store is None:
            return
        wandb.teardown()  # `finish` returns before the last records are in the file
        for written in self._scratch.glob(f"wandb/offline-run-*-{key}"):
            for link in [place for place in written.rglob("*") if place.is_symlink()]:
                link.unlink()
            shutil.rmtree(written / "logs", ignore_errors=True)
            part = self._store / f".{key}.part"
            for before in (part, *self._store.glob(f"offline-run-*-{key}")):
                shutil.rmtree(before, ignore_errors=True)
            shutil.copytree(written, part)
            os.replace(part, self._store / written.name)
            shutil.rmtree(written)

    def close(self) -> None:
        for run in self._runs.values():
            run.finish()
        shutil.rmtree(self._scratch, ignore_errors=True)


def open_store(store: Path) -> _Wandb:
    """Offline unless the user says otherwise."""
    mode = os.environ.get("WANDB_MODE") or "offline"
    is_offline = mode in ("offline", "dryrun")
    return _Wandb(store / "wandb" if is_offline else None, "offline" if is_offline else mode)
