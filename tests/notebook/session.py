"""A notebook session for tests: a machine, a real kernel on it, and *Run all*."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import yaml

from tests.notebook.execute import LIMIT_SECONDS
from tests.pipeline.project import write_settings

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "01_orchestrate_training_colab.ipynb"

_CLOUDS = ("COLAB_RELEASE_TAG", "VERTEX_PRODUCT", "KAGGLE_KERNEL_RUN_TYPE", "HOLDFAST_DRIVE")


@dataclass(frozen=True)
class Ran:
    """What a session showed.

    Args:
        end: `done`, `failed` where a cell failed, `died` where the kernel was killed.
        cells: Source and output of each cell that ran.
        error: What the cell that failed showed in place of a traceback.
    """

    end: str
    cells: tuple[tuple[str, str], ...] = field(default=())
    error: str = ""

    @property
    def text(self) -> str:
        """Everything that was printed."""
        return "".join(text for _, text in self.cells)

    def of(self, source: str) -> str:
        """What the cell printed whose source holds this."""
        return next(text for cell, text in self.cells if source in cell)


#: Where the notebook looks for the software, as it comes.
SOURCE = "/content/drive/MyDrive/holdfast-0.1.0-py3-none-any.whl[pipeline]"


def load(experiment: str = "config/micro.yaml", *, disconnect: bool = False, source: str = SOURCE) -> Any:
    """The notebook with its lines for the user set, and nothing else changed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = next(c for c in notebook.cells if c.cell_type == "code")
    for line, wanted in (
        (f'source = "{SOURCE}"', f'source = "{source}"'),
        ('experiment = "sample"', f'experiment = "{experiment}"'),
        ("disconnect_when_done = False", f"disconnect_when_done = {disconnect}"),
    ):
        assert settings.source.count(line) == 1
        settings.source = settings.source.replace(line, wanted)
    return notebook


def make_machine(root: Path, template: Path, mount_point: Path, *, timeout: float = 20.0, **changes: Any) -> Path:
    """A fresh machine: the repository of a project is there, outputs are not.

    Args:
        root: The project folder, to be made.
        template: Holds data and encoder.
        mount_point: Where Drive is mounted.
        timeout: After so long a hang counts as a dead mount.
        changes: To the experiment, by dotted key.
    """
    root.mkdir(parents=True)
    for name in ("data", "encoder"):
        shutil.copytree(template / name, root / name)
    write_settings(root, **changes)
    drive = {"mount_point": str(mount_point), "backup_base_dir": "proj", "timeout": timeout}
    (root / "config" / "paths.yaml").write_text(yaml.safe_dump({"drive": drive}))
    return root


class Session:
    """A machine and its notebook kernels, which die with the test.

    Args:
        root: The project folder, where the notebook runs.
        variables: Of the machine, beside the usual ones.
        python: Whose kernel it is.
    """

    def __init__(self, root: Path, variables: Mapping[str, str], *, python: str | Path = sys.executable) -> None:
        self.root = root
        self._python = str(python)
        usual = {k: v for k, v in os.environ.items() if k not in _CLOUDS}
        own = {"IPYTHONDIR": str(root.parent / f"{root.name}-ipython"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        paths = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", "")).split(os.pathsep)
        own["PYTHONPATH"] = os.pathsep.join(os.path.abspath(p) for p in paths if p)
        self._environment = {**usual, **variables, **own}

    def run_all(
        self,
        book: Any | None = None,
        *,
        before: str = "",
        through: str = "",
        after: Sequence[str] = (),
        meanwhile: Callable[[int], None] = lambda pid: None,
    ) -> Ran:
        """Run every cell in a fresh kernel, as *Run all* does: until one fails.

        Args:
            book: See `load`.
            before: Code of the test, run before the first cell.
            through: Stop after the cell that holds this.
            after: Cells of the test, run after the last one.
            meanwhile: Called with the kernel's process id while the cells run.
        """
        book = load() if book is None else book
        if through:
            last = next(n for n, c in enumerate(book.cells) if c.cell_type == "code" and through in c.source)
            del book.cells[last + 1 :]
        book.cells += [nbformat.v4.new_code_cell(source) for source in after]
        if before:
            book.cells.insert(0, nbformat.v4.new_code_cell(before))
        place = self.root.parent / f"{self.root.name}.ipynb"
        nbformat.write(book, place)
        command = [sys.executable, "-m", "tests.notebook.execute", str(place), str(self.root), self._python]
        with subprocess.Popen(
            command, cwd=REPOSITORY, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            pid = 0
            try:
                line = process.stdout.readline().strip()
                pid = int(line) if line else 0
                if pid:
                    meanwhile(pid)
                end, errors = process.communicate(timeout=LIMIT_SECONDS + 60)
                assert end.strip() in ("done", "failed", "died"), end + errors
            finally:
                process.kill()
                if pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        ran = [c for c in nbformat.read(place, as_version=4).cells if c.cell_type == "code" and (c.execution_count or c.outputs)]
        error = "".join("\n".join(o.traceback) for c in ran for o in c.outputs if o.output_type == "error")
        return Ran(end.strip(), tuple((c.source, _text(c)) for c in ran), error)


def _text(cell: Any) -> str:
    found = []
    for output in cell.outputs:
        if output.output_type == "stream":
            found.append(output.text)
        elif output.output_type in ("display_data", "execute_result"):
            found.append(output.data.get("text/plain", "") + "\n")
    return "".join(found)


def killing(pattern: str, nth: int = 1, event: str = "open") -> str:
    """Code that kills its kernel with SIGKILL when the n-th file is opened whose path matches, or as `event` says. For `before`."""
    return (
        "import os, re, sys\n"
        f"_left = [{nth}]\n"
        "def _watch(event, args):\n"
        f"    if event == {event!r} and re.search({pattern!r}, str(args[0])):\n"
        "        _left[0] -= 1\n"
        "        if _left[0] == 0:\n"
        "            os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(_watch)"
    )
