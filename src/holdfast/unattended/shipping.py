"""Which files of the project go to the machine: those that git tracks, else all but outputs and what is ignored."""

from __future__ import annotations

import fnmatch
import gzip
import io
import os
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import UsageError

LIMIT_BYTES = 100 << 20
_NEVER = ("outputs", ".holdfast", ".git", "holdfast-aside", "__pycache__")
#: Names under which people keep what opens their accounts.
_SECRETS = (
    ".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*",
    "id_ecdsa*", ".netrc", "kaggle.json", ".pypirc", "*secret*", "*credential*", "token.json", "token[-_.]*.json",
    "*_token", "*.token", "service[-_]account*.json", "client_secret*",
)  # fmt: skip


@dataclass(frozen=True)
class Cargo:
    """What is sent.

    Args:
        root: The project.
        files: Paths below it, sorted.
        size: Bytes of all.
        by: How they were chosen, in words.
        outputs: The folder of outputs, which is not among them.
    """

    root: Path
    files: tuple[str, ...]
    size: int
    by: str
    outputs: str = "outputs"


def choose(root: Path, included: tuple[str, ...] = (), outputs: str = "outputs") -> Cargo:
    """Choose the files.

    Args:
        root: The project.
        included: Paths that go in any case, whatever their name, size, or whether git tracks them.
        outputs: The folder of outputs, which is the store's to bring.

    Raises:
        UsageError: too large, a name that looks like a secret, or an included path is not there.
    """
    tracked = _tracked(root)
    names = tracked if tracked is not None else _walked(root, _ignored(root), outputs)
    extra = {name for path in included for name in _below(root, path)}
    found = sorted({name for name in {*names, *extra} if (root / name).is_file() and not (root / name).is_symlink()})
    suspicious = [name for name in found if name not in extra and _secret(name)]
    if suspicious:
        raise UsageError(
            f"{root / suspicious[0]}: its name looks like a secret, so nothing was sent; "
            f"take it out of the project, or name it with "
            f"--include {suspicious[0]}"
        )
    size = sum((root / name).stat().st_size for name in found)
    without = sum((root / name).stat().st_size for name in found if name not in extra)
    if without > LIMIT_BYTES:
        largest = max((n for n in found if n not in extra), key=lambda name: (root / name).stat().st_size)
        raise UsageError(
            f"{root}: {without / (1 << 20):.0f} MiB would be sent, and {LIMIT_BYTES >> 20} is the limit; "
            f"the largest file is {largest}: "
            f"put it on Drive, leave it out with .gitignore, or send it all the same with --include {largest}"
        )
    by = "what git tracks" if tracked is not None else "all but outputs and what .gitignore names"
    return Cargo(root, tuple(found), size, by, outputs)


def pack(cargo: Cargo, target: Path) -> None:
    """Pack the files; the same files make the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in cargo.files:
            data = (cargo.root / name).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755 if os.access(cargo.root / name, os.X_OK) else 0o644
            tar.addfile(entry, io.BytesIO(data))
    target.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))


def _secret(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return any(fnmatch.fnmatchcase(last, pattern) for pattern in _SECRETS) and not last.endswith((".py", ".md", ".example"))


def _tracked(root: Path) -> list[str] | None:
    git = shutil.which("git")
    if git is None:
        return None
    told = subprocess.run([git, "-C", str(root), "ls-files", "-z", "."], capture_output=True, check=False)  # noqa: S603 - our own words
    names = [os.fsdecode(name) for name in told.stdout.split(b"\0") if name] if told.returncode == 0 else []
    return names or None


def _ignored(root: Path) -> list[str]:
    try:
        lines = (root / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.strip().strip("/") for line in lines if line.strip() and not line.startswith(("#", "!"))]


def _walked(root: Path, ignored: list[str], outputs: str) -> list[str]:
    found: list[str] = []
    for folder, folders, files in os.walk(root):
        here = Path(folder).relative_to(root)

        def kept(name: str, here: Path = here) -> bool:
            whole = (here / name).as_posix()
            return not any(fnmatch.fnmatchcase(text, pattern) for pattern in ignored for text in (name, whole)) and whole != outputs

        folders[:] = sorted(name for name in folders if name not in _NEVER and kept(name))
        found += [(here / name).as_posix() for name in files if kept(name)]
    return found


def _below(root: Path, path: str) -> list[str]:
    place = root / path
    if place.is_file():
        return [Path(path).as_posix()]
    if not place.is_dir():
        raise UsageError(f"--include {path}: there is no such file or folder in {root}")
    return [p.relative_to(root).as_posix() for p in place.rglob("*") if p.is_file()]
