"""Does content change under a signature that was armed? Writers through mappings against one that looks, for a while.

By hand, on the file systems at hand: `python -m tests.store.copies.arming 60 FOLDER...`. The numbers in `proofs` come from it.
"""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from holdfast.store.copies.proofs import age, arm
from holdfast.store.local.records import Signature
from tests.store.apart.far import ENVIRONMENT

BYTES = 1 << 20


def write_through_a_mapping(file: Path, seed: int, burst: float, pause: float) -> None:
    """Write in bursts for ever, mostly to a few places, through a mapping that keeps no descriptor."""
    chance = random.Random(seed)
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    descriptor = os.open(file, os.O_RDWR)
    memory = (ctypes.c_ubyte * BYTES).from_address(libc.mmap(None, BYTES, 3, 1, descriptor, 0))
    os.close(descriptor)
    often = [chance.randrange(BYTES) & ~4095 for _ in range(8)]
    while True:
        end = time.monotonic() + chance.random() * burst
        while time.monotonic() < end:
            page = chance.choice(often) if chance.random() < 0.8 else chance.randrange(BYTES) & ~4095
            at = page + chance.randrange(4096)
            memory[at] = (memory[at] + 1) % 256
        time.sleep(chance.random() * pause)


@dataclass
class Count:
    """How often was looked, how often that counted, and what was found later."""

    looks: int = 0
    trusted: int = 0
    equal: int = 0
    silent: list[str] = field(default_factory=list)


def run(folder: Path, seconds: float, *, rest: float, writers: int = 1, burst: float = 0.003, pause: float = 0.5) -> Count:
    """Look for some seconds. What changed unseen is told with what was known of it.

    Args:
        folder: Where.
        seconds: How long.
        rest: For so many seconds a file must have been at rest for a look to count.
        writers: Processes that write.
        burst: A burst takes at most so many seconds,
        pause: and a pause between two.
    """
    file = folder / f"arming.{os.getpid()}"
    file.write_bytes(os.urandom(BYTES))
    code = (
        "import sys; from tests.store.copies.arming import *; write_through_a_mapping(Path(sys.argv[1]), *map(eval, sys.argv[2:]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(file), str(seed), str(burst), str(pause)], env=ENVIRONMENT)
        for seed in range(writers)
    ]
    descriptor, chance, count = os.open(file, os.O_RDONLY), random.Random(1), Count()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _look(descriptor, rest, chance, count)
    finally:
        os.close(descriptor)
        for process in started:
            process.kill()
            process.wait()
        file.unlink()
    return count


def _look(descriptor: int, rest: float, chance: random.Random, count: Count) -> None:
    count.looks += 1
    before, now = Signature.of(os.fstat(descriptor)), time.time_ns()
    quiet = age(before, now)
    if quiet < rest * 1e9:
        time.sleep(chance.random() * 0.003)
        return
    armed = arm(descriptor)
    content = blake3(os.pread(descriptor, BYTES, 0)).digest()
    if not armed or Signature.of(os.fstat(descriptor)) != before:
        return
    count.trusted += 1
    for _ in range(6):
        time.sleep(chance.random() * 0.01)
        later = blake3(os.pread(descriptor, BYTES, 0)).digest()
        if Signature.of(os.fstat(descriptor)) != before:
            return
        if later != content:
            count.silent.append(f"at rest for {quiet / 1e6:.1f} ms")
            return
        count.equal += 1


if __name__ == "__main__":
    for place in sys.argv[2:]:
        for seconds_of_rest, others in ((0.01, {"writers": 2, "burst": 0.006, "pause": 0.1}), (0.1, {}), (0.4, {"pause": 2.0})):
            found = run(Path(place), float(sys.argv[1]), rest=seconds_of_rest, **others)  # type: ignore[arg-type]
            print(place, f"at rest for {seconds_of_rest * 1e3:g} ms:", found, flush=True)
