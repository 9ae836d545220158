"""Doctor: probe what a drive folder really offers, in a scratch folder of its own, and say it so that it can be pasted."""

from __future__ import annotations

import errno
import functools
import os
import platform
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from holdfast._version import __version__
from holdfast.errors import Corrupt, HoldfastError, StoreError
from holdfast.session.keeper import Keeper
from holdfast.store.identity import MAX_SENTINEL_BYTES, parse_sentinel
from holdfast.store.names import SENTINEL
from holdfast.store.platform import file_system, get_attribute
from holdfast.store.restore import look
from holdfast.store.store import first_error

#: Attributes that Colab's Drive mount is said to answer by name (FORMAT.md, "Drive"); none is trusted when absent.
DRIVE_ATTRIBUTES = ("user.drive.id", "user.drive.uncommitted", "user.drive.md5")
_SMALL_FREE = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of the report. `level` is `good`, `note` or `bad`."""

    topic: str
    level: str
    text: str


def examine(keeper: Keeper) -> list[Finding]:
    """Probe the project and its drive folder. Makes and removes one scratch folder there, touches nothing else."""
    findings = [
        Finding("holdfast", "good", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}"),
        Finding("machine", "good", f"{keeper.environment.value}; {os.cpu_count()} CPUs"),
        Finding("project", "good", f"{keeper.root}, outputs in {keeper.workspace.outputs}/ ({_type(keeper.root)})"),
    ]
    if keeper.store is None:
        return [
            *findings,
            Finding("store", "note", "no drive folder is given, so nothing is backed up: --drive DIR or HOLDFAST_DRIVE"),
        ]
    backend = keeper.store.backend
    try:
        backend.check()
    except StoreError as error:
        return [*findings, Finding("drive folder", "bad", first_error(error))]
    folder = next(p for p in Path(backend.location).parents if p.is_dir())
    findings.append(Finding("drive folder", "good", f"{folder} ({_type(folder)})"))
    findings.append(_store(keeper))
    findings += _near_by(keeper, folder)
    space = backend.space()
    if space is not None:
        level = "note" if space.free < _SMALL_FREE else "good"
        findings.append(Finding("free space", level, f"{space.free / 2**30:.1f} GiB of {space.total / 2**30:.1f} GiB"))
    durability = backend.durability(())
    findings.append(Finding("durability", "good", f"what is written here counts as {durability.value}"))
    return findings + _probe(folder)


def _type(path: Path) -> str:
    return file_system(path) or f"unknown file system on {sys.platform}"


def _store(keeper: Keeper) -> Finding:
    assert keeper.store is not None
    try:
        view = look(keeper.store, keeper.workspace)
    except HoldfastError as error:
        return Finding("store", "bad", first_error(error) if isinstance(error, OSError) else str(error))
    if view.sentinel_problem is not None:
        return Finding("store", "note", f"{view.sentinel_problem}; the next backup writes it again (store_id: {view.store_id})")
    if view.store_id is None:
        return Finding("store", "note", f"{view.presence.value}; the first backup makes one at {keeper.store.backend.location}")
    return Finding("store", "good", f"store_id {view.store_id}, {len(view.names)} generation(s) of {len(view.codes())} artifact(s)")


def _near_by(keeper: Keeper, folder: Path) -> list[Finding]:
    """Other stores in the same folder: a renamed project folder shows up here."""
    found = []
    here = keeper.store.backend.location if keeper.store else ""
    try:
        for place in sorted(folder.iterdir()):
            sentinel = place / SENTINEL
            if str(place) == here or not sentinel.is_file():
                continue
            try:
                found.append(f"{place.name} (store_id {parse_sentinel(_head(sentinel), SENTINEL)})")
            except (Corrupt, StoreError):
                found.append(f"{place.name} (its {SENTINEL} cannot be read)")
    except OSError as error:
        return [Finding("stores near by", "bad", f"the folder cannot be listed: {error.strerror}")]
    text = ", ".join(found) + ": set drive.backup_base_dir to use one" if found else "none"
    return [Finding("stores near by", "note" if found else "good", text)]


def _head(place: Path) -> bytes:
    with open(place, "rb") as handle:
        return handle.read(MAX_SENTINEL_BYTES)


def _probe(folder: Path) -> list[Finding]:
    scratch = folder / f"holdfast-doctor-{secrets.token_hex(4)}"
    try:
        scratch.mkdir()
    except OSError as error:
        return [Finding("writing", "bad", f"a folder cannot be made here: {error.strerror}")]
    try:
        return [*_latency(scratch), *_abilities(scratch)]
    except OSError as error:
        return [Finding("writing", "bad", f"a test file failed: {error.strerror}")]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _latency(scratch: Path) -> list[Finding]:
    def timed(call: Callable[[int], object], times: int = 5) -> float:
        started = time.perf_counter()
        for number in range(times):
            call(number)
        return (time.perf_counter() - started) / times * 1000

    def create(number: int) -> None:
        with open(scratch / f"file-{number}", "xb") as handle:
            handle.write(b"x" * 4096)
            handle.flush()
            os.fsync(handle.fileno())

    measured = {
        "create": timed(create),
        "stat": timed(lambda n: os.stat(scratch / f"file-{n}")),
        "read": timed(lambda n: (scratch / f"file-{n}").read_bytes()),
        "list": timed(lambda _: os.listdir(scratch)),
    }
    seen = sorted(os.listdir(scratch))
    findings = [Finding("latency", "good", ", ".join(f"{k} {v:.2f} ms" for k, v in measured.items()) + " (4 KiB, mean of 5)")]
    if len(seen) != 5:
        findings.append(Finding("listing", "bad", f"5 files were made and the listing shows {len(seen)}"))
    return findings


def _abilities(scratch: Path) -> list[Finding]:
    """Each ability by trying it. None is needed: Holdfast asks for create, read, list, stat and remove only."""
    file = scratch / "file-0"

    def attempt(topic: str, call: Callable[[], str]) -> Finding:
        try:
            return Finding(topic, "good", call())
        except OSError as error:
            name = errno.errorcode.get(error.errno or 0, "an error")
            return Finding(topic, "note", f"no ({name}); not needed")

    def hard_link() -> str:
        os.link(file, scratch / "link")
        return "yes"

    def symbolic_link() -> str:
        os.symlink(file, scratch / "symlink")
        return "yes"

    def rename() -> str:
        (scratch / "a").write_bytes(b"a")
        os.replace(scratch / "a", scratch / "b")
        return "yes; whether it is atomic cannot be seen from here"

    def exclusive() -> str:
        try:
            os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "refused for a name that is taken, as it must be"
        raise OSError(errno.EEXIST, "taken name was not refused")

    def case() -> str:
        (scratch / "Case").write_bytes(b"")
        return "names that differ by case are one" if (scratch / "case").exists() else "names that differ by case are two"

    def mode() -> str:
        os.chmod(file, 0o640)
        return f"chmod 640 leaves {os.stat(file).st_mode & 0o777:o}"

    def grain() -> str:
        return "whole seconds" if os.stat(file).st_mtime_ns % 1_000_000_000 == 0 else "finer than a second"

    findings = [
        attempt("exclusive create", exclusive),
        attempt("hard link", hard_link),
        attempt("symbolic link", symbolic_link),
        attempt("rename", rename),
        attempt("case of names", case),
        attempt("modes", mode),
        attempt("file times", grain),
    ]
    return findings + [
        attempt(f"attribute {n.rpartition('.')[2]}", functools.partial(_attribute, file, n)) for n in DRIVE_ATTRIBUTES
    ]


def _attribute(file: Path, name: str) -> str:
    return repr(get_attribute(file, name))
