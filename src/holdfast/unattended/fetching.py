"""Bringing what is asked for from a machine to here. What is here is moved aside, never deleted."""

from __future__ import annotations

import tarfile
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from holdfast.unattended import asking
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.told import Outcome, Told


def fetch(command: ColabCommand, name: str, project: str, paths: tuple[str, ...], root: Path) -> tuple[Told, list[str]]:
    """Fetch paths of the project.

    Returns:
        How it went, and which of them are not there.
    """
    told, packed = command.ask(name, asking.pack(project, paths), 300)
    if not isinstance(packed, dict):
        return replace(told, outcome=Outcome.FAILED) if told.outcome is Outcome.DONE else told, []
    with tempfile.TemporaryDirectory(prefix=".fetched-", dir=root) as folder:
        archive = Path(folder) / "fetch.tar.gz"
        told = command.download(name, f"{asking.FOLDER}/fetch.tar.gz", archive)
        if told.outcome is not Outcome.DONE:
            return told, []
        if archive.stat().st_size != packed["size"]:
            return Told(Outcome.FAILED, told.text, "it did not arrive whole"), []
        fresh = Path(folder) / "fresh"
        with tarfile.open(archive) as tar:
            tar.extractall(fresh, filter="data")
        for path in packed["there"]:
            target = root / path
            if target.exists():
                aside = root / "holdfast-aside" / f"fetched-{int(time.time())}" / path
                aside.parent.mkdir(parents=True, exist_ok=True)
                target.rename(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).rename(target)
    return told, [path for path in paths if path not in packed["there"]]
