"""The drill on the scripts of examples/drilled, that go on or only seem to. Writes benchmarks/drilled.md.

    python benchmarks/drilled.py

About three minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import holdfast

HERE = Path(__file__).parent
SCRIPTS = HERE.parent / "examples" / "drilled"
MARK = "The drill says: "


def drill(script: Path, kills: int, seed: int) -> tuple[dict[str, Any], float]:
    """The drill's JSON, and how many seconds all of it took."""
    with tempfile.TemporaryDirectory(prefix="drilled-") as project:
        shutil.copy(script, project)
        words = ["drill", "--kills", str(kills), "--seed", str(seed), "--json", "--", sys.executable, script.name]
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "holdfast", *words], cwd=project, stdout=subprocess.PIPE, text=True, check=False
        )
        (row,) = json.loads(done.stdout)
        assert done.returncode == (0 if row["outcome"] == "HELD" else 1)
        return row, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    table, wrong = [], 0
    for script in sorted(SCRIPTS.glob("*.py")):
        text = script.read_text(encoding="utf-8")
        about = text.partition("\n")[0].strip('"').partition(": ")[2]
        (wanted,) = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
        row, took = drill(script, given.kills, given.seed)
        right = row["outcome"] == wanted
        wrong += not right
        table.append(
            f"| [{script.stem}](../examples/drilled/{script.name}) | {about} | {row['outcome']}{'' if right else f' (WRONG: {wanted})'} "
            f"| {len(row['kills'])} | {row['reference_seconds']:.1f} s | {sum(row['run_seconds']):.1f} s in {len(row['run_seconds'])} "
            f"| {row['saved_seconds']:.1f} of {row['work_seconds']:.1f} s | {took:.1f} s |"
        )
        print(table[-1], flush=True)
    (HERE / "drilled.md").write_text(
        "# Scripts that go on, and scripts that only seem to\n\n"
        f"`python benchmarks/drilled.py` made this: the drill of each script of `examples/drilled`, {given.kills} kills, seed {given.seed}. "
        f"{len(table) - wrong} of {len(table)} verdicts are right.\n\n"
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, Python {platform.python_version()}.\n\n"
        "| script | what it does | verdict | kills | without a kill | runs with kills | the last start did without | the whole drill |\n"
        "|---|---|---|---|---|---|---|---|\n" + "\n".join(table) + "\n\n"
        "Twelve steps of 0.1 s each; the rest of the time is starting Python and Holdfast, the uninterrupted run, a start with nothing to do, and "
        "looking at what comes back.\n",
        encoding="utf-8",
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
