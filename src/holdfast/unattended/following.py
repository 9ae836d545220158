"""What the work printed, each line once, and where it failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from holdfast.unattended.asking import Seen
from holdfast.unattended.deciding import point_of
from holdfast.unattended.ledger import Ledger


def length(log: Path) -> int:
    """How much of it is here."""
    return log.stat().st_size if log.exists() else 0


def follow(log: Path, seen: Seen, show: Callable[[bytes], None]) -> None:
    """Keep what is new, then show it: killed between the two, the file has it, and nothing is fetched twice."""
    if seen.log:
        with log.open("ab") as file:
            file.write(seen.log)
        show(seen.log)


def counted(known: Ledger, log: Path, seen: Seen) -> Ledger:
    """The ledger with a failure written down once: that of a result, or that of work that was killed."""
    if seen.running or not seen.begun:
        return known
    result = seen.result or {}
    code = result.get("code", "killed")
    end = f"{length(log)}-{seen.result and result.get('at')}"
    if code == 0 or end == known.counted or result.get("stopped"):
        return known
    printed = log.read_bytes() if log.exists() else b""
    lines = printed[: result.get("end")][-8192:].decode(errors="replace").splitlines()
    return replace(known, failures=(*known.failures, point_of(lines, code)), counted=end)
