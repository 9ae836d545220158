"""`python -m holdfast.pipeline.sample FOLDER [--seed N]` writes the built-in sample."""

from __future__ import annotations

import argparse
from pathlib import Path

from holdfast.pipeline.sample import write_sample

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m holdfast.pipeline.sample", description=__doc__)
    parser.add_argument("folder", type=Path, help="where train.json, validation.json and test.json go")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_sample(arguments.folder, arguments.seed)
