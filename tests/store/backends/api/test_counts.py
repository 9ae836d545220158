"""What it costs to confirm what a mount was given: requests and units are counted, by Google's table.

And what it costs to send one large file: bytes on the line, and time beside that which the line takes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.book import UNITS
from holdfast.simulator.drive_api.faults import Fault, What
from holdfast.simulator.items import ROOT
from holdfast.store.backends.api.sessions import PIECE_BYTES
from holdfast.store.backends.second_way import Given, SecondWay
from holdfast.store.reporting.durability import Durability
from holdfast.testing.backends import content
from tests.store.backends.api.support import backend
from tests.support import PROJECT

GENERATIONS = 1000
BLOCK = 256 * 1024
MIB = 1 << 20


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud", machine="somebody")
    yield made
    made.close()


class Uploaded:
    """Generations of many artifacts that a mount was given and has uploaded: a tar in a folder of its own, and a manifest."""

    def __init__(self, cloud: Cloud, api: DriveApi, folder: Path, count: int) -> None:
        self._cloud, self._scratch = cloud, folder / "scratch"
        self.second = SecondWay(lambda: backend(api, notes=folder / "api"), folder / "given")
        self._folders: dict[str, str] = {"": cloud.create(ROOT, PROJECT, None).id}
        self.generations: list[tuple[str, str]] = []
        for number in range(count):
            paths = f"artifacts/outputs/run-{number}/small-files@1.tar", f"generations/run-{number}@1.json"
            for path in paths:
                self.upload(path, path.encode())
            self.generations.append(paths)

    def upload(self, path: str, data: bytes) -> None:
        above, _, name = path.rpartition("/")
        self._scratch.write_bytes(data)
        self._cloud.create(self._folder(above), name, self._cloud.keep(self._scratch))
        self.second.wrote(path, Given(len(data), hashlib.md5(data).hexdigest()))

    def _folder(self, path: str) -> str:
        if path not in self._folders:
            above, _, name = path.rpartition("/")
            self._folders[path] = self._cloud.create(self._folder(above), name, None).id
        return self._folders[path]

    def asked(self, generation: tuple[str, str]) -> Durability | None:
        return self.second.durability(generation, {}, lambda path: Durability.UNKNOWN)


@pytest.mark.parametrize("newest_first", [True, pytest.param(False, marks=pytest.mark.torture)])
def test_a_thousand_generations_are_confirmed_by_fifty_requests(
    api: DriveApi, cloud: Cloud, tmp_path: Path, newest_first: bool
) -> None:
    """Asked about one after the other, as a session does it. Their files are two thousand, in a thousand folders."""
    uploaded = Uploaded(cloud, api, tmp_path, GENERATIONS)
    for generation in uploaded.generations[:: -1 if newest_first else 1]:
        assert uploaded.asked(generation) is Durability.CONFIRMED
    requests, units = dict(api.book.requests), api.book.units
    print(f"{sum(requests.values())} requests, {units} units: {requests}")
    assert sum(requests.values()) <= GENERATIONS // 20
    assert units <= 5 * GENERATIONS
    assert {uploaded.asked(generation) for generation in uploaded.generations} == {Durability.CONFIRMED}
    assert api.book.requests == requests, "what is known costs nothing"


def test_what_is_asked_about_beside_others_is_confirmed_only_by_its_own_bytes(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    uploaded = Uploaded(cloud, api, tmp_path, 30)
    lost, other = "generations/lost@1.json", "generations/run-4@1.json"
    uploaded.second.wrote(lost, Given(4, hashlib.md5(b"lost").hexdigest()))
    uploaded.second.wrote(other, Given(5, hashlib.md5(b"other").hexdigest()))
    assert uploaded.asked(uploaded.generations[3]) is Durability.CONFIRMED
    assert uploaded.asked(("generations/run-4@1.json", lost)) is not Durability.CONFIRMED
    assert uploaded.asked(uploaded.generations[4]) is Durability.WRITTEN, "Drive has other bytes"
    assert uploaded.asked(uploaded.generations[5]) is Durability.CONFIRMED


def test_where_one_generation_is_asked_about_it_costs_one_request(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    uploaded = Uploaded(cloud, api, tmp_path, 1)
    assert uploaded.asked(uploaded.generations[0]) is Durability.CONFIRMED
    for number in range(2, 5):
        uploaded.upload(path := f"generations/run-0@{number}.json", b"next")
        api.book.reset()
        assert uploaded.asked((uploaded.generations[0][0], path)) is Durability.CONFIRMED
        assert api.book.requests == {"files.list": 1}
        assert api.book.units == UNITS["files.list"]


# -- one large file ------------------------------------------------------------------------------------------------------


class Large:
    """Bytes that need no memory: one block, stamped with its number."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._block = content(MIB)

    def __call__(self) -> Iterator[bytes]:
        for number in range(self.size // MIB):
            yield number.to_bytes(8, "big") + self._block[8:]

    def is_in(self, place: Path) -> bool:
        with open(place, "rb") as file:
            return all(file.read(MIB) == block for block in self()) and file.read(1) == b""


def send(api: DriveApi, cloud: Cloud, large: Large, piece: int) -> float:
    """Seconds."""
    made = backend(api, piece=piece)
    made.make_folder("a")
    began = time.monotonic()
    made.create("a/large", large)
    took = time.monotonic() - began
    (item,) = [i for i in cloud.everything() if i.name == "large"]
    assert large.is_in(cloud.content_path(item.blob))
    return took


def cut_ten_times(api: DriveApi, pieces: int) -> None:
    """Spread over the file, each somewhere in a piece."""
    for number in range(10):
        api.faults.add(
            Fault(What.CUT, "session.chunk", skip=max(1, pieces // 11) * number + number % 2, size=100_000 + 91_000 * number)
        )


def test_a_large_file_is_sent_once_in_whole_pieces(api: DriveApi, cloud: Cloud) -> None:
    """What its time is made of: nothing is sent twice, and there are as few requests as pieces, without a question between."""
    large = Large(48 * MIB)
    send(api, cloud, large, PIECE_BYTES)
    assert api.book.requests["session.chunk"] == large.size // PIECE_BYTES
    assert api.book.requests["session.question"] == 0
    assert large.size <= api.book.bytes_in <= large.size + 10_000


@pytest.mark.torture
def test_two_gibibytes_take_the_time_that_the_line_takes_and_a_twentieth(api: DriveApi, cloud: Cloud) -> None:
    large = Large(2048 * MIB)
    api.faults.bytes_per_second = 8 * MIB  # so that this machine is never what it waits for
    bound = large.size / api.faults.bytes_per_second
    took = send(api, cloud, large, PIECE_BYTES)
    print(f"{took:.1f} s, the line takes {bound:.1f} s: {took / bound:.3f}; {api.book.bytes_in / large.size:.5f} of its bytes")
    assert took <= 1.05 * bound
    assert api.book.bytes_in <= 1.001 * large.size


@pytest.mark.torture
def test_two_gibibytes_that_are_cut_off_ten_times_are_sent_at_most_once_and_a_hundredth(api: DriveApi, cloud: Cloud) -> None:
    large = Large(2048 * MIB)
    cut_ten_times(api, large.size // PIECE_BYTES)
    send(api, cloud, large, PIECE_BYTES)
    again = api.book.bytes_in - large.size
    print(f"{again:,} bytes twice, {again / large.size:.5f} of them")
    assert api.book.requests["session.question"] >= 10
    assert again <= large.size // 100
    assert again <= 10 * BLOCK + 100_000, "of each piece that is cut Drive keeps whole blocks"
