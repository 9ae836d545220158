"""When an unchanged signature proves an unchanged content, and what a file system does for that.

A write through a shared mapping moves the times of a file only where it first touches a page that the kernel holds write-protected;
further writes to the page move nothing until it has been written back. So equal times prove nothing by themselves where somebody
has the file mapped. Two things help, and what they are worth on a file system is found out by trying them there once:

- a **lease** (`leases.somebody_writes`). Where it is granted, nobody has the file open for writing, and where leases tell of
  mappings, nobody has it mapped either; elsewhere (overlayfs) /proc can tell it (`mappings`). The first write of whoever comes
  later moves the times.
- **arming** (`arm`): `fsync` writes all dirty pages back and protects them again, so that the next write to any of them moves the
  times.

**The order is: signature, then lease or arming, then reading, then the signature again.** Measured on Linux 6.18, with processes
that write through mappings in bursts, each look compared up to six times with what was there later. Looks after which content
changed under an unchanged signature, of all looks that counted:

============================================  ============  ============  ============  ============
rule                                          ext4          overlayfs     btrfs         xfs
============================================  ============  ============  ============  ============
no arming, at rest for 10 ms                  955 of 993    1037 of 1064  999 of 1038   957 of 1002
arming, then signature, at rest for 10 ms     0 of 188      5 of 192      2 of 211      0 of 192
signature, then arming, at rest for 10 ms     11 of 7501    1 of 7927     1 of 4206     64 of 4283
signature, then arming, at rest for 100 ms    0 of 2745     0 of 3448     0 of 3249     0 of 3080
signature, then arming, at rest for 400 ms    0 of 1081     0 of 1012     0 of 747      0 of 858
============================================  ============  ============  ============  ============

The second row: a page is written again after `fsync` has passed it and before the signature is taken. The third: a write has moved
the times and stands still in the kernel before its page is writable (a full journal, a busy processor). If that takes longer than
the file has to be at rest, `fsync` finds nothing and the write goes on unseen; hence `ARMED_NS`.

One `write` of many bytes moves the times only as it begins. `arm` waits for its end: `lseek(SEEK_DATA)` wants the lock that it
holds (ext4, btrfs, and overlayfs on them; on xfs reading does). What nobody can see is one write past the page cache (O_DIRECT, or
a device that writes into pinned pages of a mapping) that begins before the look and takes longer than `ARMED_NS`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.store.copies.leases import somebody_writes
from holdfast.store.copies.mappings import shared_mappings
from holdfast.store.local.records import RACY_NS, Signature

#: What was armed counts only if the file had been at rest for so long before: longer than a write stands still in the kernel
#: between moving the times and making its page writable. Of 950,000 writes that moved the times, beside one who called `fsync` all
#: the time and on two busy processors, the slowest came to its end 115 ms later; a full journal on a slow disk can take seconds.
ARMED_NS = 30_000_000_000
#: A time of change that no file of ours has: 2001-09-09.
_LONG_AGO_NS = 1_000_000_000_000_000_000
_LENGTH = 8192


@dataclass(frozen=True)
class Proof:
    """What the times of files prove on one device.

    Args:
        maps_move_times: A write through a mapping moves mtime, at the first touch of a protected page.
        fsync_arms: After `fsync` through a read-only descriptor the next write moves it again.
        leases: Read leases are granted to us, and refused while somebody has the file open for writing.
        lease_tells: They are refused for a writable mapping of which no descriptor is left, too.
        proc_tells: `mappings` shows such a mapping. Not tried where a lease tells.
    """

    maps_move_times: bool = False
    fsync_arms: bool = False
    leases: bool = False
    lease_tells: bool = False
    proc_tells: bool = False


#: What is known of a device that nobody could try.
NOTHING = Proof()


@dataclass(frozen=True)
class Look:
    """What was seen when a file was hashed, in this order.

    Args:
        unmapped: `mappings` showed that nobody had it mapped as shared. One look, before the signatures or after, may be for many.
        age_ns: `age` of the first signature by then, or when `mappings` were looked at if that was before.
        before: The first signature.
        writing: What `somebody_writes` said after that.
        armed: `arm` was called after that, before the first byte was read, and came to its end.
        after: The signature after the last byte.
    """

    unmapped: bool
    age_ns: int
    before: Signature
    writing: bool | None
    armed: bool
    after: Signature


def age(signature: Signature, now_ns: int) -> int:
    """For how long a file has been at rest, by its mtime and its ctime: the mtime alone can be put back. Negative in the future."""
    return now_ns - max(signature.mtime_ns, signature.ctime_ns)


def trusted(look: Look, proof: Proof) -> bool:
    """True where the same signature, whenever it is seen again, proves that the file has the content that was hashed."""
    if look.before != look.after or not proof.maps_move_times or look.age_ns < RACY_NS:
        return False
    return nobody_writes(proof, writing=look.writing, unmapped=look.unmapped) or (
        look.armed and proof.fsync_arms and look.age_ns >= ARMED_NS
    )


def nobody_writes(proof: Proof, *, writing: bool | None, unmapped: bool) -> bool:
    """Nobody could write to the file without opening it anew."""
    return writing is False and proof.leases and (proof.lease_tells or (proof.proc_tells and unmapped))


def worth_arming(proof: Proof, age_ns: int, *, writing: bool | None, unmapped: bool) -> bool:
    """True where a look can be trusted if it is armed, and not otherwise. `fsync` of what was just written can take long."""
    unproven = not nobody_writes(proof, writing=writing, unmapped=unmapped)
    return unproven and proof.maps_move_times and proof.fsync_arms and age_ns >= ARMED_NS


def arm(descriptor: int) -> bool:
    """Have the next write through any mapping of a file move its times. A read-only descriptor will do.

    Waits until what was written is on the disk, and for a `write` that is on its way. False where that failed.
    """
    try:
        os.fsync(descriptor)
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, 0, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nothing but a hole, or empty
                raise
        finally:
            os.lseek(descriptor, at, os.SEEK_SET)
    except OSError:
        return False
    return True


def probe(folder: Path) -> tuple[int, Proof]:
    """Try out on a scratch file what is proven where a folder lies: the device, and what was found.

    On a full disk a write through a mapping can end the process (SIGBUS, copy-on-write file systems), so this is for a
    process that may end (`apart`).

    Raises:
        OSError: no scratch file can be made there.
    """
    writer, name = tempfile.mkstemp(prefix="probe-", dir=folder)
    try:
        reader = os.open(name, os.O_RDONLY)
    finally:
        os.unlink(name)
    try:
        os.write(writer, bytes(_LENGTH))
        refused = somebody_writes(reader)
        with _mapped(writer) as memory:
            os.close(writer)
            writer = -1
            tells = somebody_writes(reader)
            shown = None if tells is True else shared_mappings()  # one look costs 30 ms, and nobody asks where a lease tells
            moves = _moves(reader, memory)
            os.fsync(reader)
            arms = _moves(reader, memory)
        granted = somebody_writes(reader)
        leases = refused is True and granted is False
        device, inode = os.fstat(reader).st_dev, os.fstat(reader).st_ino
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    proc_tells = shown is not None and inode in shown.inodes
    return device, Proof(moves, moves and arms, leases, leases and tells is True, proc_tells)


def _moves(descriptor: int, memory: Any) -> bool:
    """Whether a write to mapped memory moves the mtime. Reads first, so that the page is there."""
    os.utime(descriptor, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    memory[1] = (memory[1] + 1) % 256
    return os.fstat(descriptor).st_mtime_ns != _LONG_AGO_NS


@contextlib.contextmanager
def _mapped(descriptor: int) -> Iterator[Any]:
    """The beginning of a file, mapped shared and writable. Python's own mappings keep a descriptor; this one does not."""
    if sys.platform == "win32":
        raise OSError(errno.ENOTSUP, "no such mappings here")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    address = libc.mmap(None, _LENGTH, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, descriptor, 0)
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    try:
        yield (ctypes.c_ubyte * _LENGTH).from_address(address)
    finally:
        libc.munmap(address, _LENGTH)


class Proofs:
    """What is proven on the devices that a workspace meets, each tried out once.

    Args:
        run: Runs `probe` with a folder, in a process that may end: `Apart.call` with a deadline.
    """

    def __init__(self, run: Callable[[Callable[[Path], tuple[int, Proof]], Path], tuple[int, Proof]]) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._folders: set[int] = set()
        self._devices: dict[int, Proof] = {}

    def learn(self, folder: Path) -> None:
        """Find out about the device of a scratch folder, once. What cannot be found out is tried again the next time."""
        with self._lock, contextlib.suppress(OSError, HoldfastError):
            place = os.stat(folder).st_dev
            if place not in self._folders:
                # On overlayfs a file can show another device than its folder does.
                device, proof = self._run(probe, folder)
                self._devices[device] = proof
                self._folders.add(place)

    def of(self, device: int) -> Proof:
        """What is proven on a device (`st_dev` of a file): nothing where no scratch folder lies there."""
        return self._devices.get(device, NOTHING)
