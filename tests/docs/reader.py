"""Somebody who types a page's examples into the current project, one after the other: `python -m tests.docs.reader PAGE`.
With words behind the page only blocks that hold one of them.

Blocks of Python share their names, as cells of a notebook do. A failure shows the page and its line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holdfast
from tests.docs.pages import REPOSITORY, Block, examples

#: The folders that examples name as the drive. The one of this run takes their place.
DRIVES = ("/content/drive/MyDrive", "/some/folder", "/mnt/disk")


def run_benchmark() -> None:
    """What an example calls its work."""
    Path("outputs").mkdir(exist_ok=True)
    Path("outputs/benchmark.json").write_text('{"mean_ms": 1.5}')


#: Names that an example takes for granted.
HELPERS: dict[str, Callable[..., Any]] = {"run_benchmark": run_benchmark}


def backed_up_run() -> None:
    """A folder in the store, and nothing here."""
    keep = holdfast.attach()
    if not keep.ensure("outputs/run"):
        Path("outputs/run").mkdir(parents=True)
        Path("outputs/run/epoch-0.json").write_text("{}")
        assert keep.backup("outputs/run")
    holdfast.detach()


def backed_up_benchmark() -> None:
    """A file in the store, and nothing here."""
    keep = holdfast.attach()
    if not keep.ensure("outputs/benchmark.json"):
        run_benchmark()
        assert keep.backup("outputs/benchmark.json")
    holdfast.detach()
    Path("outputs/benchmark.json").unlink()


#: What a page takes for granted.
BEFORE: dict[str, Callable[[], None]] = {"docs/rescue.md": backed_up_run, "docs/session-died.md": backed_up_benchmark}


def type_in(block: Block, names: dict[str, Any]) -> None:
    """Run one block."""
    text = block.text
    for drive in DRIVES:
        text = text.replace(drive, os.environ["HOLDFAST_DRIVE"])
    if block.language == "python":
        exec(compile("\n" * (block.line - 1) + text, str(REPOSITORY / block.page), "exec"), names)
        return
    sys.stdout.flush()
    command = f'holdfast() {{ {sys.executable} -m holdfast "$@"; }}\n{text}'
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=False)
    if done.returncode:
        sys.exit(f"{block.where}: a command failed with {done.returncode}")


if __name__ == "__main__":
    page, *only = sys.argv[1:]
    BEFORE.get(page, lambda: None)()
    shared: dict[str, Any] = {"__name__": "__main__", **HELPERS}
    for one in examples(page):
        if not one.marker and (not only or any(words in one.text for words in only)):
            type_in(one, shared)
