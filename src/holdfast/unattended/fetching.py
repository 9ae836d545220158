"""Bringing what is asked for from a machine to here. What is here is moved aside, never deleted."""

from __future__ import annotations

import tarfile
import tempfile
import time
from pathlib import Path

from holdfast.unattended import asking
from holdfast.unattended.command import ColabCommand
from holdfast.unattended.told import Outcome


def fetch(command: ColabCommand, name: str, project: str, paths: tuple[str, ...], root: Path) -> str:
    """Fetch paths of the project.

    Returns:
        Why it did not come about, in one line; empty where it did.
    """
    told, size = command.ask(name, asking.pack(project, paths), 300)
    if not isinstance(size, int):
        return told.line or "it could not be packed"
    with tempfile.TemporaryDirectory(prefix=".fetched-", dir=root) as folder:
        archive = Path(folder) / "fetch.tar.gz"
        told = command.download(name, f"{asking.FOLDER}/fetch.tar.gz", archive)
        if told.outcome is not Outcome.DONE or archive.stat().st_size != size:
            return told.line
        fresh = Path(folder) / "fresh"
        with tarfile.open(archive) as tar:
            tar.extractall(fresh, filter="data")
        for path in paths:
            target = root / path
            if target.exists():
                aside = root / "holdfast-aside" / f"fetched-{int(time.time())}" / path
                aside.parent.mkdir(parents=True, exist_ok=True)
                target.rename(aside)
            target.parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).rename(target)
    return ""
