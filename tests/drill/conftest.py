"""A project to drill, and the proof that nothing of a drill stays."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.drill.rehearsal import Wish, rehearse
from holdfast.drill.report import Report
from holdfast.session.config import load_config
from tests.docs.pages import REPOSITORY
from tests.support import read_tree


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go. Short, because a socket's path has to be. Nothing is left there, mounts included."""
    with tempfile.TemporaryDirectory(prefix="d") as name:
        place = Path(name)
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield place
        assert name not in Path("/proc/mounts").read_text()
        assert sorted(p.name for p in place.iterdir()) == []


@dataclass(frozen=True)
class Project:
    """A project with a script. What it has in outputs was there before, and stays as it is."""

    root: Path
    notes: Path  #: a folder beside it that outlives every machine

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NOTES": str(self.notes)}

    def write(self, script: str, name: str = "train.py") -> Path:
        place = self.root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(script)
        return place

    def drill(self, *command: str, env: Mapping[str, str] | None = None, **wish: Any) -> Report:
        """Drill `train.py`, or another command."""
        asked = Wish(command or (sys.executable, "train.py"), **{"kills": 2, "seed": 10, **wish})
        print(f"seed {asked.seed}")
        report = rehearse(
            load_config(self.root),
            asked,
            drive=None,
            at=self.root,
            environment={**self.environment, "KILLS": str(asked.kills), **(env or {})},
        )
        print(report)
        return report


@pytest.fixture
def project(tmp_path: Path, scratch: Path) -> Iterator[Project]:
    """See `Project`."""
    made = Project(tmp_path / "proj", tmp_path / "notes")
    for path in ("outputs", ".holdfast"):
        (made.root / path).mkdir(parents=True)
        (made.root / path / "mine.txt").write_text("hours of work")
    made.notes.mkdir()
    yield made
    for path in ("outputs", ".holdfast"):
        assert read_tree(made.root / path) == {"mine.txt": b"hours of work"}
