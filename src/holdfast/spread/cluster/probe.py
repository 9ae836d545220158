"""What a node says of itself. It is sent there by value, so that it also runs where there is no Holdfast, or another one.

It needs Python alone, and takes and gives plain data.
"""

from __future__ import annotations

from typing import Any


def look(question: dict[str, Any]) -> dict[str, Any]:
    """Look at this node.

    Args:
        question: `drive`, the folder in which the store lies, and `variable`, whose value is that folder on this node where it is
            set; below it `probe`, a file that the driver wrote, and `sentinel`, the file with the identity of the store;
            `expected`, its text there; `naming`, the variable in which a node may say of what type it is; `distributions`, whose
            versions are asked for; `seconds`, for which a file that is not here yet is waited for.

    Returns:
        `drive`, where it looked; `python`; `versions` by name, None where it is not installed; `holdfast`, the version and a
        digest of its modules, or None; `processor`; `named`, of what type it says that it is; `free`, bytes for temporary files;
        `probe` and `sentinel`, their text, or None with the reason in `unseen`.
    """
    import hashlib
    import importlib.metadata
    import importlib.util
    import os
    import pathlib
    import platform
    import re
    import shutil
    import tempfile
    import time

    def version(name: str) -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    def holdfast() -> list[str] | None:
        found = importlib.util.find_spec("holdfast")
        if found is None or found.origin is None:
            return None
        folder = pathlib.Path(found.origin).parent
        digest = hashlib.blake2b(digest_size=8)
        for place in sorted(folder.rglob("*.py")):
            digest.update(place.relative_to(folder).as_posix().encode() + b"\0" + place.read_bytes())
        said = re.search(r'__version__ = "([^"]*)"', (folder / "_version.py").read_text(encoding="utf-8"))
        return [said.group(1) if said else "unknown", digest.hexdigest()]

    def processor() -> str:
        try:
            text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        name = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        return name.group(1) if name else platform.machine()

    seen: dict[str, str | None] = {"probe": None, "sentinel": None}
    unseen = ""
    drive = os.environ.get(question["variable"]) or question["drive"]
    until = time.monotonic() + float(question["seconds"])
    while True:
        for name in seen:
            try:
                seen[name] = pathlib.Path(drive, question[name]).read_text(encoding="utf-8")
            except OSError as error:
                unseen = f"{error.strerror}: {os.path.join(drive, question[name])}"
        another = seen["sentinel"] not in (None, question["expected"])
        if another or None not in seen.values() or time.monotonic() >= until:
            break
        time.sleep(0.5)
    return {
        "drive": drive,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in question["distributions"]},
        "holdfast": holdfast(),
        "processor": processor(),
        "named": os.environ.get(question["naming"], "").strip(),
        "free": shutil.disk_usage(tempfile.gettempdir()).free,
        "unseen": unseen,
        **seen,
    }
