"""A large file goes on where Drive says that it has it: after a lost connection, a lost answer, a forgotten session, and a kill."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StoreDenied, StoreFull, StoreUnreadable
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.faults import Fault, What
from holdfast.testing.backends import content
from tests.store.backends.api.support import InCloud, backend

PIECE = 1 << 20
BIG = content(6 * PIECE + 12345)


@pytest.fixture
def cloud(api: DriveApi, tmp_path: Path) -> Iterator[InCloud]:
    made = InCloud(backend(api, notes=tmp_path / "notes", piece=PIECE), tmp_path / "cloud", tmp_path / "scratch")
    yield made
    made.cloud.close()


def source() -> Iterator[bytes]:
    yield from (BIG[at : at + 300_000] for at in range(0, len(BIG), 300_000))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(What.LOSE, "session.chunk", skip=2),
        Fault(What.LOSE, "session.chunk", skip=6),
        Fault(What.CUT, "session.chunk", skip=2, size=700_000),
        Fault(What.CUT, "session.chunk", size=0),
        Fault(What.SHORT, "session.chunk", skip=1, size=600_000),
        Fault(What.SHORT, "session.chunk", size=0),
        Fault(What.TWICE, "session.*", times=None),
        Fault(What.EXPIRE, "session.chunk", skip=3),
        Fault(What.REFUSE, "session.chunk", skip=3, status=410, reason="gone"),
        Fault(What.REFUSE, "session.chunk", skip=3, times=3),
        Fault(What.REFUSE, "session.chunk", times=2, status=403, reason="userRateLimitExceeded", retry_after=7),
        Fault(What.REFUSE, "session.chunk", times=1, status=401, reason="authError"),
        Fault(What.LOSE, "session.start"),
        Fault(What.TWICE, "session.start"),
        Fault(What.LOSE, "*", share=0.3, times=None),
    ],
    ids=lambda fault: f"{fault.what.value}-{fault.kind}-{fault.skip}-{fault.status}",
)
def test_whatever_happens_on_the_way_the_file_is_there_once_and_whole(api: DriveApi, cloud: InCloud, fault: Fault) -> None:
    api.faults.add(fault)
    cloud.backend.create("a/big", source)
    assert cloud.get("a/big") == BIG


@pytest.mark.parametrize("fault", [Fault(What.LOSE, "files.create", skip=1), Fault(What.TWICE, "files.create", times=None)])
def test_a_small_file_whose_answer_is_lost_is_there_once(api: DriveApi, cloud: InCloud, fault: Fault) -> None:
    api.faults.add(fault)
    cloud.backend.create("a/small", lambda: (b"small",))
    assert cloud.get("a/small") == b"small"
    assert cloud.paths() == {"a/small"}


def test_what_was_cut_off_ten_times_is_sent_at_most_once_and_a_hundredth(api: DriveApi, cloud: InCloud) -> None:
    big = content(64 << 20)
    for number in range(10):
        api.faults.add(Fault(What.CUT, "session.chunk", skip=6 * number + number % 3, size=300_000 + 37_000 * number))
    cloud.backend.create("a/big", lambda: (big[at : at + PIECE] for at in range(0, len(big), PIECE)))
    assert cloud.get("a/big") == big
    blocks = 10 * 256 * 1024  # of each piece that is cut Drive keeps whole blocks, and says so
    assert api.book.bytes_in <= len(big) + blocks + 100_000


def killed(source: Iterator[bytes]) -> Iterator[bytes]:
    """As a process that ends in the middle: nothing after it is done."""
    yield from source
    raise KeyboardInterrupt


def test_after_a_kill_another_attempt_goes_on_under_its_own_name(api: DriveApi, cloud: InCloud, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cloud.backend.create("a/big@1", lambda: killed(iter([BIG[: 4 * PIECE + 77]])))
    place = next((tmp_path / "notes" / "uploads").iterdir())
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    before = api.book.bytes_in
    later = backend(api, notes=tmp_path / "notes", piece=PIECE)
    later.create("a/big@2", source)
    assert cloud.get("a/big@2") == BIG
    assert cloud.paths() == {"a/big@2"}
    assert api.book.bytes_in - before < len(BIG) - 3 * PIECE
    assert not list((tmp_path / "notes" / "uploads").iterdir())


def test_what_only_begins_alike_is_not_taken_for_the_same(api: DriveApi, cloud: InCloud, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        cloud.backend.create("a/big@1", lambda: killed(iter([BIG[: 4 * PIECE]])))
    other = BIG[:PIECE] + content(4 * PIECE + 5)
    later = backend(api, notes=tmp_path / "notes", piece=PIECE)
    later.create("a/other", lambda: (other,))
    assert cloud.get("a/other") == other
    assert cloud.paths() == {"a/other"}


def test_bytes_that_arrive_changed_are_taken_back_and_said(api: DriveApi, cloud: InCloud) -> None:
    api.faults.add(Fault(What.CORRUPT, "session.chunk", skip=1))
    with pytest.raises(StoreUnreadable, match="other bytes than were sent"):
        cloud.backend.create("a/big", source)
    assert cloud.paths() == set()


@pytest.mark.parametrize(
    ("status", "reason", "kind", "said"),
    [
        (403, "storageQuotaExceeded", StoreFull, "Drive is full"),
        (403, "teamDriveFileLimitExceeded", StoreFull, "500,000 items"),
        (403, "numChildrenInNonRootLimitExceeded", StoreFull, "500,000 items"),
        (403, "insufficientFilePermissions", StoreDenied, "Share"),
        (403, "dailyLimitExceeded", StoreDenied, "daily limit"),
        (403, "userRateLimitExceeded", StoreUnreadable, "too fast"),
        (503, "backendError", StoreUnreadable, "try again later"),
    ],
)
@pytest.mark.parametrize("request_kind", ["session.start", "session.chunk", "files.create"])
def test_a_refusal_is_its_own_error_with_what_to_do(
    api: DriveApi, cloud: InCloud, request_kind: str, status: int, reason: str, kind: type[Exception], said: str
) -> None:
    cloud.backend.make_folder("a")
    api.faults.add(Fault(What.REFUSE, request_kind, times=None, status=status, reason=reason))
    with pytest.raises(kind, match=said):
        cloud.backend.create("a/file", source if request_kind.startswith("session") else lambda: (b"small",))
    assert cloud.paths() == set()
