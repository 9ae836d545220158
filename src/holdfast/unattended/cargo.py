"""Sending the project to a machine: the job, its orders, the wheel, and the files, in parts that both ends can hold in memory."""

from __future__ import annotations

import contextlib
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from holdfast.unattended import asking, job
from holdfast.unattended.command import PART_BYTES, ColabCommand
from holdfast.unattended.shipping import Cargo, pack
from holdfast.unattended.told import Outcome, Told
from holdfast.unattended.wheel import pack_wheel
from holdfast.unattended.wish import Wish


class Loading:
    """Sends what a machine needs for the work.

    Args:
        cargo: The files of the project.
        wish: What is run with them.
        show: Is given what the work printed.
    """

    def __init__(self, cargo: Cargo, wish: Wish, show: Callable[[bytes], None]) -> None:
        self._cargo, self._wish = cargo, wish
        self.show = show
        #: On the machine. Its name is the project's, because the store is called after it.
        self.project = f"/content/{cargo.root.name}"
        self.outputs = cargo.outputs

    def digest(self) -> str:
        """A hash of all that would be sent of the project now; empty where nothing would."""
        hasher = blake3()
        for name in self._cargo.files:
            hasher.update(f"{name}\0".encode(errors="surrogateescape"))
            with contextlib.suppress(OSError):  # it went meanwhile
                hasher.update(blake3((self._cargo.root / name).read_bytes()).digest())
        return hasher.hexdigest() if self._cargo.files else ""

    def send(self, command: ColabCommand, name: str, work: str, safe_seconds: float, *, by_api: bool = False) -> Told:
        """Send all of it, and start the work.

        Args:
            command: The `colab` command.
            name: Which machine.
            work: The number of the work.
            safe_seconds: So long uploads are waited for at the end.
            by_api: Drive is reached by its API.
        """
        orders = {
            "work": work,
            "command": list(self._wish.command),
            "project": self.project,
            "outputs": self.outputs,
            "extras": _extras(self._wish.extras, "[drive]" if by_api else ""),
            "fetch": list(self._wish.fetch),
            "wait": safe_seconds,
            "by_api": by_api,
        }
        with tempfile.TemporaryDirectory(prefix="holdfast-cargo-") as folder:
            here = Path(folder)
            pack(self._cargo, here / "project.tar.gz")
            (here / "spec.json").write_text(json.dumps(orders), encoding="utf-8")
            shutil.copy(job.__file__, here / "job.py")
            whole = here / "cargo.tar"
            with tarfile.open(whole, "w") as tar:
                # The orders go last: where they are, the rest is.
                for place in (pack_wheel(here), here / "project.tar.gz", here / "job.py", here / "spec.json"):
                    tar.add(place, arcname=place.name)
            parts = _parts(whole)
            for part in parts:
                told = command.upload(name, part, f"{asking.FOLDER}/{part.name}")
                if told.outcome is not Outcome.DONE:
                    return told
            told, _ = command.ask(name, asking.unpack([part.name for part in parts]), 120)
            return told


def _extras(*asked: str) -> str:
    names = [text.strip("[]") for text in asked if text]
    return f"[{','.join(names)}]" if names else ""


def _parts(whole: Path) -> list[Path]:
    data, found = whole.read_bytes(), []
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        part = whole.with_name(f"cargo.part-{number:04}")
        part.write_bytes(data[start : start + PART_BYTES])
        found.append(part)
    return found
