"""Which process this is, and whether another one lives."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process that can be told from every other one on its machine.

    Args:
        host: Name of the machine.
        place: Which boot and which process namespace; only there a process number means anything. Empty where it cannot be told.
        number: Process number.
        born: When it started, in the kernel's ticks since boot: numbers are used again.
    """

    host: str
    place: str
    number: int
    born: int

    @classmethod
    def this(cls) -> Process:
        """The one that asks."""
        place = ""
        with contextlib.suppress(OSError):
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            place = f"{boot} {os.readlink('/proc/self/ns/pid')}"
        return cls(socket.gethostname(), place, os.getpid(), _born(os.getpid()))

    def is_on_the_machine_of(self, other: Process) -> bool:
        """True where both run on one boot of one machine, if in other process namespaces."""
        boots = self.place.partition(" ")[0], other.place.partition(" ")[0]
        return boots[0] == boots[1] and (bool(boots[0]) or self.host == other.host)

    def lives(self, asked: Process) -> bool | None:
        """Whether another process is alive; None where that cannot be told from here."""
        if not self.place or self.place != asked.place:
            return None
        return asked.born != 0 and _born(asked.number) == asked.born


def _born(number: int) -> int:
    """Field 22 of `/proc/N/stat` (proc_pid_stat(5)); 0 where there is no such process. A zombie counts as none."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
        return 0 if fields[0] in "ZX" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0
