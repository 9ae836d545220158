"""`python -m tests.live --backups 50`: every program that is installed, one after the other; the table goes to the docs."""

from __future__ import annotations

import argparse
import tempfile
from importlib.metadata import version
from pathlib import Path

from holdfast.store.reporting.markdown import wrapped
from tests.live.watching import Bench, Result, installed, table
from tests.live.writers import PROGRAMS

PAGE = Path(__file__).parents[2] / "docs" / "files-in-use-measured.md"
HEAD = """# Files in use, measured

Real programs that write all the time, each in a process of its own, and `holdfast` in another, which backs up at random moments.
Every generation was restored and opened with the program's own library. "A state it had" is one that the program had written
completely; "named" means that the generation says of a file that it is torn, or that the backup refused it by name, so that it is
not called safe; "wrong" would be neither. Programs write as fast as they can, which is harder than any training: of what never
rests no copy is whole, unless its library or its format makes one so. Made by `python -m tests.live --backups {backups}`; of Lance,
of which every state stays on the disk, ten are made.

"""


#: A program that keeps every state that it ever had fills the disk while each is restored.
_MOST = {"Lance, appended": 10}


def main() -> None:
    """Run the programs and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.live")
    parser.add_argument("--backups", type=int, default=50)
    parser.add_argument("--size", choices=("short", "long"), default="long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="on the file system to be tried")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    parser.add_argument("programs", nargs="*", help="parts of names; by default all that are installed")
    options = parser.parse_args()
    chosen = [n for n in PROGRAMS if not options.programs or any(p.lower() in n.lower() for p in options.programs)]
    names = installed(chosen)
    results: list[Result] = []
    text = ""
    for name in names:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            bench, result = Bench(Path(folder), [name], options.size, options.seed), Result(name)
            with bench.running() as keep:
                bench.wait_for_first(name)
                for _ in range(min(options.backups, _MOST.get(name, options.backups))):
                    bench.back_up(keep, name, result)
        results.append(result)
        print(table([result]).splitlines()[-1], flush=True)
        for one in result.wrong[:3]:
            print(f"    WRONG {one}", flush=True)
        text = _page(results, sorted(set(chosen) - set(names)), options.backups)
        if options.write:
            PAGE.write_text(text, encoding="utf-8")
    print(text)


def _page(results: list[Result], missing: list[str], backups: int) -> str:
    text = HEAD.format(backups=backups) + table(results)
    if missing:
        text += f"\nNot installed here: {', '.join(missing)}.\n"
    return wrapped(text + "\nVersions: " + ", ".join(_versions()) + ".\n")


def _versions() -> list[str]:
    packages = ("numpy", "lmdb", "duckdb", "h5py", "zarr", "torch", "tensorboardX", "wandb", "mlflow", "optuna", "joblib")
    found = []
    for package in (*packages, "safetensors", "pyarrow", "plyvel", "rocksdict", "pylance"):
        try:
            found.append(f"{package} {version(package)}")
        except ModuleNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main()
