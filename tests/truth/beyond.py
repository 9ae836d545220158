"""The second process: what lies in a folder, and what a fresh machine gets back. It lives as long as the sessions do."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.truth.job import ROOT, Hands

Entry = dict[str, Any]
Inventory = dict[str, Entry]

SIDE_SUFFIXES = ("-wal", "-shm", "-journal")


def inventory(outputs: Path, databases: Iterable[str] = ()) -> Inventory:
    """Path to what lies there, the folder itself under the empty path.

    Args:
        outputs: The folder.
        databases: What somebody has open by SQLite: its side files are part of it.
    """
    beside = {path + suffix for path in databases for suffix in SIDE_SUFFIXES}
    found: Inventory = {}
    if not outputs.is_dir():
        return found
    waiting = [""]
    while waiting:
        path = waiting.pop()
        place = outputs / path
        status = os.lstat(place)
        if path in beside:
            continue
        entry: Entry = {"mode": stat.S_IMODE(status.st_mode), "mtime_ns": status.st_mtime_ns}
        if stat.S_ISDIR(status.st_mode):
            entry["kind"] = "folder"
            waiting += [f"{path}/{name}" if path else name for name in os.listdir(place)]
        elif stat.S_ISLNK(status.st_mode):
            entry |= _link(outputs, place)
        elif stat.S_ISREG(status.st_mode):
            entry |= _file(place, status)
        else:
            entry["kind"] = "other"
        found[path] = entry
    return found


def _link(outputs: Path, place: Path) -> Entry:
    text = os.readlink(place)
    leads = os.path.realpath(place.parent / text)
    # The name that is linked to, which may be a link itself.
    named = os.path.join(os.path.realpath((place.parent / text).parent), os.path.basename(text))
    if os.path.basename(text) in ("", ".", ".."):
        named = leads
    inside = os.path.realpath(outputs)
    for one in (named, leads):
        if one == inside or one.startswith(inside + "/"):
            return {"kind": "link", "to": one[len(inside) :], "absolute": text.startswith("/"), "out": False}
    return {"kind": "link", "to": text, "absolute": text.startswith("/"), "out": True}


def _file(place: Path, status: os.stat_result) -> Entry:
    data = place.read_bytes()
    entry: Entry = {"kind": "file", "size": len(data), "inode": status.st_ino, "links": status.st_nlink, "database": False}
    entry["torn"] = data[:4] == b"PK\3\4" and not zipfile.is_zipfile(place)
    if data.startswith(b"SQLite format 3\0") and (told := _database(place)) is not None:
        return entry | {"database": True, "hash": told, "size": 0}
    return entry | {"hash": hashlib.blake2b(data, digest_size=16).hexdigest()}


def _database(place: Path) -> str | None:
    """What a database holds, told by a copy of it and of its log; None where it does not open."""
    with tempfile.TemporaryDirectory(prefix="holdfast-truth-") as folder:
        for suffix in ("", "-wal", "-journal"):
            if os.path.exists(f"{place}{suffix}"):
                shutil.copyfile(f"{place}{suffix}", f"{folder}/copy{suffix}")
        connection = sqlite3.connect(f"{folder}/copy")
        try:
            lines = list(connection.iterdump())
        except sqlite3.Error:
            return None
        finally:
            connection.close()
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def restored(root: str, drive: str, path: str, first: Iterable[tuple[str, dict[str, Any]]] = ()) -> dict[str, Any]:
    """What `ensure` gives a fresh machine.

    Args:
        root: Its project folder, made here.
        drive: The drive folder.
        path: What is asked for.
        first: What something does in outputs before anybody asks.

    Returns:
        `true`, `outcome`, `error`; the inventories `before` and `after`; hashes of what was moved `aside`; and `forks`, heads
        beside the default one after a backup that followed, where something was done first.
    """
    import holdfast

    outputs, hands, first = Path(root) / "outputs", Hands(), list(first)
    (outputs if first else Path(root)).mkdir(parents=True)
    hands.begin(str(outputs))
    for verb, args in first:
        hands.do(verb, args)
    try:
        before = inventory(outputs)
        keep = holdfast.attach(root=root, drive=drive, background=False, quiet=True)
        answer = keep.ensure(path)
        after, forks = inventory(outputs), 0
        if first and answer:
            keep.backup(path)
            forks = sum(len(row.forks) for row in keep.status())
        told = {"true": bool(answer), "outcome": answer.outcome.value, "error": answer.error}
        aside = [hashed for entry in inventory(Path(root) / "holdfast-aside").values() if (hashed := entry.get("hash"))]
        return {**told, "before": before, "after": after, "aside": aside, "forks": forks}
    finally:
        hands.let_go()
        holdfast.detach()


class Beyond:
    """The process, from the outside."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.truth.beyond"]
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH", ""), str(ROOT)]))
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
        )

    def inventory(self, outputs: Path, databases: Iterable[str]) -> Inventory:
        """See `inventory`."""
        found: Inventory = self._ask("inventory", str(outputs), list(databases))
        return found

    def restored(
        self, root: Path, drive: Path, path: str = "outputs", first: Iterable[tuple[str, dict[str, Any]]] = ()
    ) -> dict[str, Any]:
        """See `restored`."""
        found: dict[str, Any] = self._ask("restored", str(root), str(drive), path, list(first))
        return found

    def end(self) -> None:
        """Have it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, *question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the second process has died"
        answer = json.loads(line)
        if "crash" in answer:
            raise RuntimeError(f"in the second process: {answer['crash']}")
        return answer["came"]


def _serve() -> None:
    logging.getLogger("holdfast").setLevel(logging.CRITICAL + 1)
    verbs = {"inventory": lambda place, databases: inventory(Path(place), databases), "restored": restored}
    for line in sys.stdin:
        verb, *args = json.loads(line)
        try:
            answer = {"came": verbs[verb](*args)}
        except Exception:  # noqa: BLE001 - told to who asked
            answer = {"crash": traceback.format_exc(limit=-6)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
