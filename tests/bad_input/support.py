"""Machines that run the real command, forged manifests and tars, and mounts that a test makes and takes away."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blake3 import blake3

from holdfast.store.format.keys import Key
from holdfast.store.format.names import key_code
from holdfast.store.format.sentinel import sentinel_bytes

#: No command of these tests has work for more than a second. One that takes this long hangs.
HANG_SECONDS = 20
STORE_ID = "5" * 32
TIME = "2026-01-02T03:04:05Z"


@dataclass(frozen=True)
class Done:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines on standard error that are not warnings."""
        return [line for line in self.lines if not line.startswith(("holdfast: warning: ", "holdfast: note: "))]

    @property
    def lines(self) -> list[str]:
        """The lines on standard error, without a progress bar, which a slow machine shows."""
        return [line for line in self.err.split("\n") if line and "\u2501" not in line]

    def rows(self) -> list[dict[str, Any]]:
        """The objects that `--json` printed."""
        found = json.loads(self.out, parse_constant=_no_constant)
        assert isinstance(found, list)
        return found


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def sound(done: Done) -> Done:
    """The same, proven to have ended by itself, without a traceback, with nothing on standard error but lines of ours."""
    assert done.code >= 0, f"it hung, or was killed ({done.code}): {done.err}"
    assert "Traceback" not in done.err, done.err
    for line in done.lines:
        assert line.startswith("holdfast: "), done.err
        assert line.isprintable(), repr(line)
    return done


def refused(done: Done, code: int, *words: str) -> Done:
    """The same, proven to have failed with this code and exactly one line that holds these words."""
    sound(done)
    assert done.code == code, (done.code, done.out, done.err)
    assert len(done.errors) == 1, done.err
    for word in words:
        assert word in done.errors[0], (word, done.err)
    return done


def good(done: Done) -> Done:
    """The same, proven to have worked without an error."""
    sound(done)
    assert (done.code, done.errors) == (0, []), (done.code, done.out, done.err)
    return done


@functools.cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.bad_input.forkserver"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


class Site:
    """A drive folder in a test's folder, and the machines of one project that share it."""

    def __init__(self, folder: Path, drive: Path | None = None) -> None:
        self.folder = folder
        self.drive = folder / "drive" if drive is None else drive
        self.drive.mkdir(exist_ok=True)
        self._made = 0

    @property
    def store(self) -> Path:
        return self.drive / "proj"

    def box(self, root: Path | None = None) -> Box:
        """A fresh machine."""
        self._made += 1
        place = self.folder / f"machine-{self._made}" / "proj" if root is None else root
        place.mkdir(parents=True, exist_ok=True)
        return Box(place, self.drive)


@dataclass(frozen=True)
class Box:
    """One machine: a project folder, and the command as somebody would type it there."""

    root: Path
    drive: Path | None

    @property
    def outputs(self) -> Path:
        return self.root / "outputs"

    def write(self, path: str, content: bytes | str) -> Path:
        place = self.root / path
        if not place.parent.is_dir():
            subprocess.run(["mkdir", "-p", str(place.parent)], check=True)  # at any depth, which Python's own does not do
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def tree(self, path: str = "outputs") -> dict[str, bytes]:
        return files_in(self.root / path)

    def run(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        answer: str = "",
        denied: bool = False,
        memory: int = 0,
        seconds: int = HANG_SECONDS,
    ) -> Done:
        """Run the command in a process of its own.

        Args:
            arguments: As on the command line.
            cwd: Default: the project folder.
            env: Added to the environment; `HOLDFAST_DRIVE` is the machine's drive unless given here.
            answer: What somebody types.
            denied: As a user whom file modes bind, which root is not by itself.
            memory: Most bytes of address space; 0 for no limit.
            seconds: When it counts as hanging.
        """
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "in").write_text(answer, encoding="utf-8")
            request = {
                "arguments": arguments,
                "cwd": str(cwd or self.root),
                "env": self._environment(env),
                "stdin": f"{scratch}/in",
                "stdout": f"{scratch}/out",
                "stderr": f"{scratch}/err",
                "denied": denied,
                "memory": memory,
                "seconds": seconds,
            }
            server = _server()
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.write(json.dumps(request) + "\n")
            server.stdin.flush()
            code = int(server.stdout.readline())
            return Done(code, _text(Path(scratch, "out")), _text(Path(scratch, "err")))

    def spawn(
        self,
        *arguments: str,
        prefix: Sequence[str] = (),
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = HANG_SECONDS,
    ) -> Done:
        """Run the command by `python -m holdfast`, behind another command if one is given."""
        done = subprocess.run(
            [*prefix, sys.executable, "-m", "holdfast", *arguments],
            cwd=cwd or self.root,
            env=self._environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def denied(self, *arguments: str) -> Done:
        """Run the command as a user whom file modes bind."""
        return self.run(*arguments, denied=True)

    def spawn_denied(self, *arguments: str) -> Done:
        """The same by `python -m holdfast`."""
        without = "-dac_override,-dac_read_search"
        return self.spawn(*arguments, prefix=("setpriv", f"--bounding-set={without}", f"--inh-caps={without}"))

    def _environment(self, more: Mapping[str, str] | None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "TMPDIR")}
        drive = {} if self.drive is None else {"HOLDFAST_DRIVE": str(self.drive)}
        # One thread each: tests run side by side, and torch with as many threads as cores would only wait for itself.
        return {**kept, "LC_ALL": "C.UTF-8", "COLUMNS": "200", "OMP_NUM_THREADS": "1", **drive, **(more or {})}


def _text(place: Path) -> str:
    return place.read_bytes().decode(errors="surrogateescape") if place.exists() else ""


def files_in(root: Path) -> dict[str, bytes]:
    """Relative path to content of every regular file, names as they are on the disk."""
    if root.is_file():
        return {"": root.read_bytes()}
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            place = Path(folder, name)
            if place.is_file() and not place.is_symlink():
                found[str(place.relative_to(root))] = place.read_bytes()
    return found


def everything_in(root: Path, *, but: Sequence[Path] = ()) -> dict[str, tuple[int, int, int]]:
    """Every name below a folder with its type and mode, size and mtime, apart from what lies below the exceptions."""
    found = {}
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [f for f in folders if here / f not in but]
        for name in [*folders, *names]:
            status = os.lstat(here / name)
            is_folder = os.path.isdir(here / name)
            found[str(here / name)] = (status.st_mode, 0 if is_folder else status.st_size, 0 if is_folder else status.st_mtime_ns)
    return found


# -- mounts --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def small_disk(place: Path, size: str = "2m") -> Iterator[Path]:
    """A disk of its own, of a few megabytes."""
    place.mkdir(parents=True, exist_ok=True)
    _command("mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place))
    try:
        yield place
    finally:
        _command("umount", "-l", str(place))


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    """A folder that nobody, root included, can write to."""
    _command("mount", "--bind", str(place), str(place))
    try:
        _command("mount", "-o", "remount,ro,bind", str(place))
        yield
    finally:
        _command("umount", "-l", str(place))


def resize(place: Path, size: str) -> None:
    """Make a small disk larger or smaller."""
    _command("mount", "-o", f"remount,size={size}", str(place))


def fill(disk: Path, leave: int) -> Path:
    """Fill a disk up to some bytes. Gives the file that does it."""
    place = disk / "ballast"
    with open(place, "ab") as handle:
        found = os.statvfs(disk)
        handle.write(b"\1" * max(found.f_bavail * found.f_frsize - leave, 0))
    return place


def free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- forgeries -----------------------------------------------------------------------------------------------------------


def digest(data: bytes) -> str:
    return blake3(data).hexdigest()


def seal(body: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest with this content, whatever it is: canonical, and with the digest that fits."""
    return seal_text(json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True))


def seal_text(text: str) -> bytes:
    return f'{{"digest":"{digest(text.encode())}","manifest":{text}}}\n'.encode()


def commit_id(number: int) -> str:
    return f"{number:08x}"


class Forge:
    """A store made by hand, sound or hostile. Sequence and id of a generation are one number."""

    def __init__(self, store: Path) -> None:
        self.store = store
        (store / "generations").mkdir(parents=True, exist_ok=True)
        self.sentinel.write_bytes(sentinel_bytes(STORE_ID))

    @property
    def sentinel(self) -> Path:
        return self.store / "holdfast.json"

    def payload(self, path: str, data: bytes) -> dict[str, Any]:
        """Put a payload into the store; gives what a record says of it."""
        place = self.store / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return {"payload": path, "size": len(data), "blake3": digest(data)}

    def file(self, key: str, path: str, data: bytes, number: int) -> dict[str, Any]:
        """Put the payload of one file into the store; gives its record."""
        folder = (f"{key}/{path}" if path else key).rpartition("/")[0]
        name = digest(f"{key}/{path}".encode())[:8]
        return {"path": path, "mode": "644", **self.payload(f"{folder}/{name}@{number:06d}-{commit_id(number)}.bin", data)}

    def body(self, key: str, number: int, files: Sequence[Mapping[str, Any]], **other: Any) -> dict[str, Any]:
        """The content of a manifest of a directory, parent being the generation before."""
        parent = commit_id(number - 1) if number > 1 else None
        return {
            "format": 1,
            "store": STORE_ID,
            "key": key,
            "kind": "directory",
            "sequence": number,
            "id": commit_id(number),
            "parent": parent,
            "ancestors": [parent] if parent else [],
            "fresh_line": False,
            "time": TIME,
            "writer": "forger/1",
            "progress": None,
            "files": sorted((dict(f) for f in files), key=lambda f: str(f.get("path"))),
            "tars": [],
            "folders": [],
            **other,
        }

    def body_2(self, key: str, number: int, files: Sequence[Mapping[str, Any]], **other: Any) -> dict[str, Any]:
        """The same in format 2."""
        return self.body(key, number, files, **{"format": 2, "links": [], "hard_links": [], **other})

    def place(self, key: str, number: int, parent: str | None = None) -> Path:
        """Where the manifest of a generation lies."""
        above = parent or (commit_id(number - 1) if number > 1 else "0" * 8)
        return self.store / "generations" / f"{key_code(Key(key))}@{number:06d}-{commit_id(number)}-{above}.json"

    def plant(self, key: str, number: int, content: Mapping[str, Any] | bytes) -> Path:
        """Write the manifest of a generation; parent is the generation before."""
        place = self.place(key, number)
        place.write_bytes(content if isinstance(content, bytes) else seal(content))
        return place

    def generation(self, key: str, number: int, files: Mapping[str, bytes], **other: Any) -> Path:
        """A sound generation of a directory."""
        return self.plant(key, number, self.body(key, number, [self.file(key, p, d, number) for p, d in files.items()], **other))


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A tar with these members, as they are."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return target.getvalue()


def member(name: str, size: int, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.size, found.type, found.linkname = size, kind, link
    return found
