"""An unchanged signature is a proof only where a later write must show."""

from __future__ import annotations

import dataclasses
import itertools
import mmap
import os
from pathlib import Path

import pytest

from holdfast.errors import LocalError
from holdfast.platform import file_system
from holdfast.store.apart.job import Apart
from holdfast.store.copies.leases import somebody_writes
from holdfast.store.copies.mappings import shared_mappings
from holdfast.store.copies.proofs import ARMED_NS, NOTHING, Look, Proof, Proofs, age, arm, probe, trusted, worth_arming
from holdfast.store.local.records import RACY_NS, Signature
from tests.store.copies import arming

ALL = Proof(maps_move_times=True, fsync_arms=True, leases=True, lease_tells=True, proc_tells=True)
#: As measured on Linux 6.18. Others, a network among them, may prove anything less.
KNOWN = {
    **dict.fromkeys(("ext4", "btrfs", "xfs"), ALL),
    "tmpfs": Proof(leases=True, lease_tells=True, proc_tells=True),
    "overlay": dataclasses.replace(ALL, lease_tells=False),
}
THEN = Signature(3, 1_000, 1_000, 7)


def test_what_a_file_system_proves_is_tried_out(place: Path) -> None:
    device, proof = probe(place)
    assert device == os.stat(place).st_dev or file_system(place) not in KNOWN
    assert proof.proc_tells == (not proof.lease_tells and shared_mappings() is not None), "/proc tells only root of everybody"
    proof = dataclasses.replace(proof, proc_tells=True)
    assert proof == KNOWN.get(file_system(place) or "", proof)
    assert os.listdir(place) == []


def test_each_device_is_tried_once_and_another_one_proves_nothing(apart: Apart, place: Path) -> None:
    tried: list[Path] = []

    def run(function: object, folder: Path) -> tuple[int, Proof]:
        tried.append(folder)
        return apart.call(probe, folder, seconds=60)

    proofs = Proofs(run)
    assert proofs.of(os.stat(place).st_dev) == NOTHING
    (place / "inner").mkdir()
    for folder in (place, place / "inner", place):
        proofs.learn(folder)
    assert tried == [place]
    (place / "file").touch()
    assert proofs.of(os.stat(place / "file").st_dev) == probe(place)[1]
    assert proofs.of(os.stat("/proc").st_dev) == NOTHING


def test_what_cannot_be_tried_proves_nothing_and_raises_nothing(apart: Apart, tmp_path: Path) -> None:
    proofs = Proofs(lambda function, folder: apart.call(function, folder, seconds=60))
    for folder in (tmp_path / "missing", Path("/proc")):
        proofs.learn(folder)
    assert proofs.of(os.stat("/proc").st_dev) == NOTHING

    def dies(function: object, folder: Path) -> tuple[int, Proof]:
        raise LocalError(0, "died twice")

    proofs = Proofs(dies)
    proofs.learn(tmp_path)
    assert proofs.of(os.stat(tmp_path).st_dev) == NOTHING


def test_the_decision_for_every_case() -> None:
    """Spelled out: what is in this list is trusted, in every combination with the rest, and nothing else is."""
    for writing, armed, unmapped, changed, *found in itertools.product((False, True, None), *[(False, True)] * 8):
        for rest in (-1, 0, RACY_NS - 1, RACY_NS, ARMED_NS - 1, ARMED_NS):
            proof = Proof(*found)
            look = Look(unmapped, rest, THEN, writing, armed, THEN._replace(ctime_ns=1_001) if changed else THEN)
            told = proof.lease_tells or (proof.proc_tells and unmapped)
            by_lease = writing is False and proof.leases and told and rest >= RACY_NS
            by_arming = armed and proof.fsync_arms and rest >= ARMED_NS
            assert trusted(look, proof) == (not changed and proof.maps_move_times and (by_lease or by_arming))
            if worth_arming(proof, rest, writing=writing, unmapped=unmapped):
                assert trusted(dataclasses.replace(look, armed=True, after=THEN), proof)
                assert not trusted(dataclasses.replace(look, armed=False, after=THEN), proof)


@pytest.mark.parametrize("change", ["size", "mtime_ns", "ctime_ns", "inode"])
def test_whatever_moved_while_it_was_read_takes_the_trust(change: str) -> None:
    assert trusted(Look(False, ARMED_NS, THEN, False, True, THEN), ALL)
    moved = THEN._replace(**{change: getattr(THEN, change) + 1})
    assert not trusted(Look(False, ARMED_NS, THEN, False, True, moved), ALL)


def test_a_time_that_was_put_back_does_not_make_a_file_old(place: Path) -> None:
    file = place / "f"
    file.write_bytes(b"abc")
    os.utime(file, ns=(0, 0))
    found = os.stat(file)
    assert age(Signature.of(found), found.st_ctime_ns + 5) == 5


class Mapped:
    """A file that this process has mapped, seen through a read-only descriptor."""

    def __init__(self, file: Path) -> None:
        file.write_bytes(bytes(20_000))
        with file.open("r+b") as writer:
            self.memory = mmap.mmap(writer.fileno(), 0)
        self.reader = os.open(file, os.O_RDONLY)
        self.memory[0] = 1

    def look(self, *, arming: bool) -> tuple[bytes, Look]:
        before = Signature.of(os.fstat(self.reader))
        writing = somebody_writes(self.reader)
        armed = arming and arm(self.reader)
        data = os.pread(self.reader, 20_000, 0)
        return data, Look(False, ARMED_NS, before, writing, armed, Signature.of(os.fstat(self.reader)))

    def close(self) -> None:
        self.memory.close()
        os.close(self.reader)


def test_a_mapped_file_that_was_trusted_shows_the_next_write(place: Path, proofs: Proofs) -> None:
    mapped = Mapped(place / "f")
    proof = proofs.of(os.stat(place / "f").st_dev)
    for byte in range(1, 200):
        for armed in (False, True):
            data, look = mapped.look(arming=armed)
            assert trusted(look, proof) == (armed and proof.fsync_arms)
            mapped.memory[byte * 97] = byte + armed
            assert os.pread(mapped.reader, 20_000, 0) != data
            seen = Signature.of(os.fstat(mapped.reader))
            assert seen != look.after or not trusted(look, proof)
    mapped.close()


def test_arming_reads_on_from_where_it_was_and_bears_holes(place: Path) -> None:
    for size in (0, 1 << 20):
        with open(place / f"{size}", "w+b") as file:
            file.truncate(size)
            os.lseek(file.fileno(), 5, os.SEEK_SET)
            assert arm(file.fileno())
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 5
    reading, writing = os.pipe()
    assert not arm(reading)
    os.close(reading)
    os.close(writing)


@pytest.mark.torture
def test_nothing_changes_unseen_under_processes_that_write_through_mappings(tmp_path: Path) -> None:
    """Where armed looks count at all; on others `python -m tests.store.copies.arming` shows what happens."""
    count = arming.run(tmp_path, 60, rest=0.4, pause=2.0)
    print(count)
    assert not count.silent or not probe(tmp_path)[1].fsync_arms
