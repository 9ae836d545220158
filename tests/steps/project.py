"""A project with steps: its file of steps is loaded anew for each session, as a new process would, and its machines come and go."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import holdfast
from holdfast.session.attach import open_keeper

#: Two steps, a helper and constants. `keep` is there when it is loaded. Each run of a step leaves a word in ran.log.
TWO_STEPS = '''
import json
from pathlib import Path

RATE = 3
OPTIONS = {"names": ["a", "b"], "deep": (1, 2.5, None)}


def scaled(number):
    return number * RATE


def ran(name):
    with open("ran.log", "a") as log:
        log.write(name + "\\n")


@keep.step(outputs="outputs/first.json", inputs=["data/table.csv"], ignore=["ran"])
def first():
    """Counts the rows."""
    ran("first")
    rows = Path("data/table.csv").read_text().split()
    Path("outputs/first.json").write_text(json.dumps([scaled(len(rows)), OPTIONS["names"]]))


@keep.step(outputs="outputs/deep/second.json", inputs=[first], ignore=["ran"])
def second(rate: float = 1e-3, *, name="x"):
    ran("second")
    count = json.loads(Path("outputs/first.json").read_text())[0]
    Path("outputs/deep/second.json").write_text(json.dumps([count, rate, name]))
'''

_numbers = itertools.count(1)


class Project:
    """A folder, and a drive that outlives it.

    Args:
        folder: Where both lie.
        drive: False works without a store.
    """

    def __init__(self, folder: Path, *, drive: bool = True) -> None:
        self._folder = folder
        self.drive = folder / "drive" if drive else None
        if self.drive is not None:
            self.drive.mkdir(exist_ok=True)
        self.root = self._fresh()

    def _fresh(self) -> Path:
        root = self._folder / f"machine-{next(_numbers)}" / "project"
        (root / "data").mkdir(parents=True)
        (root / "data" / "table.csv").write_text("a b c")
        os.chdir(root)
        return root

    def lose(self) -> None:
        """The machine is gone with its disk; a fresh one has the data."""
        self.root = self._fresh()

    def load(self, source: str = TWO_STEPS) -> ModuleType:
        """A new session: the file of steps as it is now, loaded under one name."""
        place = self.root / f"steps_{next(_numbers)}.py"
        place.write_text(source)
        spec = importlib.util.spec_from_file_location("steps_of_a_test", place)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        module.__dict__["keep"] = open_keeper(self.root, self.drive, mount=False, kind=holdfast.Keeper)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    def never_arrived(self, key: str) -> None:
        """An artifact was backed up, and its machine was gone before it was uploaded."""
        assert self.drive is not None
        for manifest in self.drive.glob(f"project/generations/{key.replace('/', '~')}@*"):
            manifest.unlink()
        shutil.rmtree(self.drive / "project/artifacts" / key, ignore_errors=True)

    def ran(self) -> list[str]:
        """The steps that ran on this machine since the last time that this was asked."""
        log = self.root / "ran.log"
        words = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return words

    def here(self) -> list[str]:
        """What lies in outputs, without the records."""
        outputs = self.root / "outputs"
        found = (p.relative_to(outputs).as_posix() for p in outputs.rglob("*") if p.is_file())
        return sorted(p for p in found if not p.endswith(".step"))
