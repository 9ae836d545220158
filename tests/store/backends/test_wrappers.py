"""Every backend keeps one contract, bare or wrapped; and each wrapper does its one thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from holdfast.errors import StoreDenied, StoreExists, StoreNotFound, StoreTimeout, StoreUnreachable, StoreUnreadable
from holdfast.store.backends.backend import Backend, Entry
from holdfast.store.backends.backoff import Backoff
from holdfast.store.backends.directory import DirectoryBackend
from holdfast.store.backends.wrappers import Bounded, Counting, Faulty, Retrying
from holdfast.store.reporting.durability import Durability


def backoff(*seconds: float, slept: list[float] | None = None) -> Backoff:
    """Waits that take no time and are not spread."""
    return Backoff(seconds, sleep=(lambda _: None) if slept is None else slept.append, spread=lambda: 1.0)


WRAPPED: dict[str, Callable[[Backend], Backend]] = {
    "bare": lambda b: b,
    "counting": Counting,
    "faulty": lambda b: Faulty(b, lambda operation, path: None),
    "retrying": lambda b: Retrying(b, backoff(0.0, 0.0)),
    "bounded": lambda b: Bounded(b, 10),
    "all": lambda b: Retrying(Bounded(Counting(b), 10), backoff(0.0)),
}


@pytest.fixture(params=WRAPPED)
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    (tmp_path / "drive").mkdir()
    return WRAPPED[request.param](DirectoryBackend(tmp_path / "drive", "proj"))


def content(backend: Backend, path: str) -> bytes:
    return b"".join(backend.read(path))


def test_what_is_created_can_be_read_listed_measured_and_removed(backend: Backend) -> None:
    backend.check()
    assert Entry("proj", is_folder=True) not in backend.siblings()
    backend.create("a/b/file", lambda: (b"one", b"", b"two" * 1_000_000))
    assert content(backend, "a/b/file") == b"one" + b"two" * 1_000_000
    assert backend.stat("a/b/file").size == 3_000_003
    assert not backend.stat("a/b/file").is_folder
    assert backend.stat("a/b").is_folder
    assert list(backend.list("a")) == [Entry("b", is_folder=True)]
    assert list(backend.list("a/b")) == [Entry("file", is_folder=False)]
    assert Entry("proj", is_folder=True) in backend.siblings()
    backend.flush()
    assert backend.durability(["a/b/file"]) in (Durability.CONFIRMED, Durability.UNKNOWN)
    assert backend.space() is not None
    backend.remove("a/b/file")
    backend.remove("a/b/file")
    with pytest.raises(StoreNotFound):
        backend.stat("a/b/file")


def test_a_name_is_written_once(backend: Backend) -> None:
    backend.create("name", lambda: (b"first",))
    with pytest.raises(StoreExists):
        backend.create("name", lambda: (b"second",))
    assert content(backend, "name") == b"first"


def test_what_is_missing_is_missing(backend: Backend) -> None:
    for call in (backend.list, backend.stat, lambda p: list(backend.read(p))):
        with pytest.raises(StoreNotFound):
            call("nothing/here")


def test_an_empty_file_is_a_file(backend: Backend) -> None:
    backend.create("empty", lambda: ())
    assert content(backend, "empty") == b""
    assert backend.stat("empty").size == 0


def test_without_the_folder_that_must_exist_nothing_is_absent_and_nothing_is_made(tmp_path: Path) -> None:
    backend = DirectoryBackend(tmp_path / "drive", "proj")
    for call in (backend.check, backend.siblings):
        with pytest.raises(StoreUnreachable):
            call()
    with pytest.raises(StoreUnreachable):
        backend.create("a/b", lambda: (b"x",))
    assert not (tmp_path / "drive").exists()


def test_links_in_the_store_are_not_followed(tmp_path: Path) -> None:
    backend = DirectoryBackend(tmp_path, "proj")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "proj/file").symlink_to(tmp_path / "outside/secret")
    with pytest.raises(StoreNotFound):
        list(backend.read("file"))
    with pytest.raises(StoreNotFound):
        backend.stat("file")
    with pytest.raises(StoreDenied):
        backend.create("folder/new", lambda: (b"x",))
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["secret"]


class Flaky:
    """Raises the given errors first, then lets everything pass."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    def __call__(self, operation: str, path: str) -> None:
        if operation == "stat" and self.errors:
            raise self.errors.pop(0)


def test_retrying_goes_on_after_what_can_pass_and_logs_each_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "proj").mkdir()
    (tmp_path / "proj/x").write_text("x")
    slept: list[float] = []
    flaky = Flaky(StoreUnreadable(5, "EIO", "x"), StoreUnreadable(5, "EIO", "x"))
    backend = Retrying(Faulty(DirectoryBackend(tmp_path, "proj"), flaky), backoff(1.0, 4.0, slept=slept))
    assert backend.stat("x").size == 1
    assert slept == [1.0, 4.0]
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "error",
    [StoreNotFound(2, "", "x"), StoreDenied(13, "", "x"), StoreTimeout(110, "", "x"), StoreUnreachable(107, "dead", "x")],
)
def test_retrying_does_not_repeat_what_cannot_pass(tmp_path: Path, error: Exception) -> None:
    slept: list[float] = []
    backend = Retrying(Faulty(DirectoryBackend(tmp_path, "proj"), Flaky(error, error)), backoff(1.0, 1.0, slept=slept))
    with pytest.raises(type(error)):
        backend.stat("x")
    assert not slept


def test_retrying_gives_up_with_the_last_error(tmp_path: Path) -> None:
    errors = [StoreUnreadable(5, f"EIO {n}", "x") for n in range(3)]
    backend = Retrying(Faulty(DirectoryBackend(tmp_path, "proj"), Flaky(*errors)), backoff(0.0, 0.0))
    with pytest.raises(StoreUnreadable, match="EIO 2"):
        backend.stat("x")


def test_a_read_that_fails_in_the_middle_goes_on_where_it_stopped(tmp_path: Path) -> None:
    class Breaking(DirectoryBackend):
        broken = 0

        def read(self, path: str) -> Iterator[bytes]:
            for number, chunk in enumerate(super().read(path)):
                if number == 2 and self.broken < 2:
                    self.broken += 1
                    raise StoreUnreadable(5, "EIO", path)
                yield chunk

    inner = Breaking(tmp_path, "proj")
    data = bytes(range(256)) * 20_000
    inner.create("x", lambda: (data,))
    assert content(Retrying(inner, backoff(0.0, 0.0)), "x") == data
    assert inner.broken == 2


def test_a_hang_is_a_dead_mount(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(operation: str, path: str) -> None:
        release.wait(20)

    backend = Bounded(Faulty(DirectoryBackend(tmp_path, "proj"), hang), 0.05)
    for call in (
        backend.check,
        lambda: backend.stat("x"),
        lambda: backend.create("x", lambda: (b"x",)),
        lambda: list(backend.read("x")),
    ):
        with pytest.raises(StoreTimeout, match="no progress"):
            call()
    release.set()


def test_a_slow_transfer_that_moves_is_not_a_hang(tmp_path: Path) -> None:
    backend = Bounded(DirectoryBackend(tmp_path, "proj"), 0.2)

    def slowly() -> Iterator[bytes]:
        for _ in range(5):
            threading.Event().wait(0.1)
            yield b"chunk"

    backend.create("x", slowly)
    assert content(backend, "x") == b"chunk" * 5


def test_waits_are_spread_so_that_many_clients_do_not_come_back_at_once() -> None:
    waits = {tuple(Backoff((1.0, 4.0)).waits()) for _ in range(20)}
    assert len(waits) > 10
    assert all(0.5 <= first <= 1.5 and 2.0 <= second <= 6.0 for first, second in waits)
