"""What git itself says of patterns: `git check-ignore` with real folders and links, one run for many cases."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_ALONE = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CEILING_DIRECTORIES": "/",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Case:
    """An ignore file and paths: `x/` is a folder, `x@` a link to a folder, and anything else a file."""

    file: bytes
    paths: tuple[bytes, ...]

    def pairs(self) -> Iterator[tuple[str, bool]]:
        for path in self.paths:
            yield os.fsdecode(path.removesuffix(b"/").removesuffix(b"@")), path.endswith(b"/")


def left_out_by_git(cases: Sequence[Case], folder: Path, git: str = "git") -> list[list[bool]]:
    """For each case, for each of its paths, whether git leaves it out. Each case is a folder with an ignore file of its own."""
    top = os.fsencode(folder)
    asked: list[bytes] = []
    for number, case in enumerate(cases):
        place = b"%s/%05d" % (top, number)
        os.makedirs(place)
        with open(place + b"/.gitignore", "wb") as out:
            out.write(case.file)
        asked += [_make(place, path).removeprefix(top + b"/") for path in case.paths]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | _ALONE
    subprocess.run([git, "init", "-q", "--template=", "."], cwd=folder, env=environ, check=True, capture_output=True)
    command = [git, "-c", "core.ignorecase=false", "check-ignore", "--no-index", "--verbose", "--non-matching", "-z", "--stdin"]
    told = subprocess.run(
        command, cwd=folder, env=environ, check=False, capture_output=True, input=b"".join(a + b"\0" for a in asked)
    )
    assert told.returncode in {0, 1}, told.stderr
    fields = told.stdout.split(b"\0")[:-1]
    patterns, echoed = fields[2::4], fields[3::4]
    assert echoed == asked
    answers = iter(bool(pattern) and not pattern.startswith(b"!") for pattern in patterns)
    return [[next(answers) for _ in case.paths] for case in cases]


def _make(place: bytes, path: bytes) -> bytes:
    whole = place + b"/" + path.removesuffix(b"/").removesuffix(b"@")
    if path.endswith(b"/"):
        os.makedirs(whole, exist_ok=True)
    elif path.endswith(b"@"):
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        os.symlink(place, whole)
    return whole  # git takes what is not there for a file
