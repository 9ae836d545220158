"""Whether installing Holdfast would change anything that is installed already. Fails, with one line, if it would.

python -m tests.colab.keeps WHEEL

It asks twice. Here: the pip of the Python that runs it, about what is installed beside it. Then for the Python that Colab has, of
which nothing need be on this machine: constraints/colab-image.txt stands for what is installed there.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

COLAB_PYTHON = "3.13"
IMAGE = Path(__file__).parents[2] / "constraints" / "colab-image.txt"
EXTRAS = ("pipeline", "hf", "keras", "lightning", "torch", "optuna")

#: On PyPI as source only. pip takes nothing but wheels for a Python that it does not run in, so its wheel is made here.
SOURCE_ONLY = ("seqeval",)

Versions = Mapping[str, str]


class Changes(Exception):
    """Something that is installed would change."""


def here(found: Any, installed: Versions) -> dict[str, str]:
    """What pip would add, from its report of a dry run.

    Raises:
        Changes: it would put another version in place of one that is installed.
    """
    would = {name: item["metadata"]["version"] for name, item in by_name(found).items()}
    changed = [f"{name} {installed[name]} to {version}" for name, version in would.items() if name in installed]
    if changed:
        raise Changes(", ".join(changed))
    return would


def there(found: Any, image: Versions, python: str, extra: str = EXTRAS[0]) -> dict[str, str]:
    """What pip would add to an image where it has not run, from what it would take where nothing is installed.

    pip keeps what is installed where every requirement is content with it, and takes the newest of what it adds. So the
    requirements of each addition, beginning with Holdfast, are held against the image.

    Raises:
        Changes: one of them is not content with the version on the image.
    """
    items = by_name(found)
    environment = {**found["environment"], "python_version": python, "python_full_version": f"{python}.0"}
    added: dict[str, str] = {}
    changed: set[str] = set()
    todo = [Requirement(f"holdfast[{extra}]")]
    while todo:
        wanted = todo.pop()
        name = canonicalize_name(wanted.name)
        metadata = items[name]["metadata"] if name in items else {}
        added[name] = metadata.get("version", "?")
        for line in metadata.get("requires_dist", ()):
            needed = Requirement(line)
            extras = wanted.extras or {""}
            if needed.marker and not any(needed.marker.evaluate({**environment, "extra": one}) for one in extras):
                continue
            other = canonicalize_name(needed.name)
            if other in image:
                if not needed.specifier.contains(image[other], prereleases=True):
                    changed.add(f"{other} {image[other]}, since {name} {added[name]} needs {needed.specifier}")
            elif other not in added:
                todo.append(needed)
    if changed:
        raise Changes(", ".join(sorted(changed)))
    return added


def by_name(found: Any) -> dict[str, Any]:
    return {canonicalize_name(item["metadata"]["name"]): item for item in found["install"]}


def report(*arguments: str) -> Any:
    """pip's report of a dry run."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "report.json")
        pip("install", "--dry-run", "--report", str(place), *arguments)
        return json.loads(place.read_text(encoding="utf-8"))


def pip(command: str, *arguments: str) -> None:
    """Run pip. Where it fails, its own last line ends this program."""
    ran = subprocess.run([sys.executable, "-m", "pip", command, "--quiet", *arguments], check=False, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(f"pip: {(ran.stderr.strip() or 'failed').splitlines()[-1]}")


def main(wheel: str) -> None:
    installed = {canonicalize_name(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
    with tempfile.TemporaryDirectory() as made:
        pip("wheel", "--no-deps", "--wheel-dir", made, *SOURCE_ONLY)
        colab = ("--python-version", COLAB_PYTHON, "--only-binary=:all:", "--target", "nowhere", "--find-links", made)
        image = {name: item["metadata"]["version"] for name, item in by_name(report(*colab, "-r", str(IMAGE))).items()}
        try:
            for extra in EXTRAS:
                wanted = f"{wheel}[{extra}]"
                say(f"[{extra}], Python {platform.python_version()}, here", here(report(wanted), installed), installed)
                say(
                    f"[{extra}], Python {COLAB_PYTHON}, as on Colab",
                    there(report(*colab, wanted), image, COLAB_PYTHON, extra),
                    image,
                )
        except Changes as error:
            raise SystemExit(f"installing Holdfast would change what is installed: {error}") from error


def say(where: str, added: Versions, kept: Sequence[str] | Versions) -> None:
    names = ", ".join(f"{name} {version}" for name, version in sorted(added.items()))
    print(f"{where}: none of {len(kept)} installed packages would change; {len(added)} would be added: {names}")


if __name__ == "__main__":
    main(sys.argv[1])
