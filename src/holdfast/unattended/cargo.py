"""Sending the project to a machine: the job, its orders, the wheel, and the files, in parts that both ends can hold in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

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

    def send(self, command: ColabCommand, name: str, work: str, safe_seconds: float) -> Told:
        """Send all of it. The orders go last: they say that the rest is there.

        Args:
            command: The `colab` command.
            name: Which machine.
            work: The number of the work.
            safe_seconds: So long uploads are waited for at the end.
        """
        orders = {
            "work": work,
            "command": list(self._wish.command),
            "project": self.project,
            "extras": self._wish.extras,
            "fetch": list(self._wish.fetch),
            "wait": safe_seconds,
        }
        with tempfile.TemporaryDirectory(prefix="holdfast-cargo-") as folder:
            here = Path(folder)
            pack(self._cargo, here / "project.tar.gz")
            places = [*_parts(here / "project.tar.gz"), pack_wheel(here), Path(job.__file__)]
            spec = here / "spec.json"
            spec.write_text(json.dumps(orders), encoding="utf-8")
            told = Told(Outcome.DONE)
            for place in (*places, spec):
                told = command.upload(name, place, f"{asking.FOLDER}/{place.name}")
                if told.outcome is not Outcome.DONE:
                    break
            return told


def _parts(whole: Path) -> list[Path]:
    data, found = whole.read_bytes(), []
    for number, start in enumerate(range(0, len(data), PART_BYTES)):
        part = whole.with_name(f"project.part-{number:04}")
        part.write_bytes(data[start : start + PART_BYTES])
        found.append(part)
    return found
