"""A store by Drive's API alone: what it costs, what a listing that lags hides, and that nobody sees a token."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import ConfigurationError
from holdfast.session.attach import open_keeper
from holdfast.session.keeper import Keeper
from holdfast.simulator.cloud import Cloud
from holdfast.simulator.drive_api import DriveApi
from holdfast.simulator.drive_api.faults import Fault, What
from holdfast.simulator.items import ROOT, Item
from holdfast.store.backends.api.backend import ApiBackend
from holdfast.store.backends.api.transport import Waits
from holdfast.store.reporting.durability import Durability
from holdfast.store.reporting.outcomes import Outcome
from tests.session.test_two_ways import api
from tests.store.backends.api.support import TOKEN

__all__ = ["api"]

MINUTES = 600.0


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path / "cloud", machine="somebody")
    yield made
    made.close()


def machine(folder: Path, name: str, **settings: object) -> Path:
    """A project folder on a machine of its own."""
    root = folder / name
    (root / "config").mkdir(parents=True)
    drive = {"backup_base_dir": "proj", "remembers": 0, **settings}
    (root / "config" / "paths.yaml").write_text(json.dumps({"drive": drive}))
    (root / "outputs").mkdir()
    return root


def attach(root: Path, drive: str = "gdrive:") -> Keeper:
    return open_keeper(root, drive, mount=False)


def quick(keeper: Keeper) -> Keeper:
    """Whose waits between attempts cost nothing."""
    assert keeper.store is not None
    assert isinstance(keeper.store.backend, ApiBackend)
    keeper.store.backend.tree.files.transport.waits = Waits((0.0,) * 7, sleep=lambda seconds: None)
    object.__setattr__(keeper.store.backoff, "sleep", lambda seconds: None)
    return keeper


def as_machine(keeper: Keeper, name: str) -> Keeper:
    """The same process, taken for another machine."""
    assert keeper.store is not None
    keeper.store.machine = name
    return keeper


def fill(root: Path, files: int, size: int = 100) -> None:
    for number in range(files):
        place = root / "outputs" / "run" / f"{number % 20}" / f"{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(number.to_bytes(4, "big") * (size // 4))


def folder_called(cloud: Cloud, name: str) -> Item:
    return next(i for i in cloud.everything() if i.name == name and i.folder)


# -- what it costs -------------------------------------------------------------------------------------------------------


def test_a_commit_of_a_generation_costs_so_many_requests(api: DriveApi, tmp_path: Path) -> None:
    """The numbers are exact; a change of them is a change of what users pay."""
    root = machine(tmp_path, "here")
    fill(root, 5)
    keeper = attach(root)
    assert keeper.backup("outputs/run")
    fill(root, 5, 200)
    api.book.reset()
    done = keeper.backup("outputs/run")
    assert done.results[0].durability is Durability.CONFIRMED
    assert not api.book.requests["download"], "the sentinel is known"
    assert api.book.requests["files.create"] == 2, "one tar and one manifest"
    assert api.book.units <= 500
    assert sum(api.book.requests.values()) <= 25


def test_five_thousand_small_files_are_one_tar(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    fill(root, 5000)
    keeper = attach(root)
    assert keeper.backup("outputs/run")
    creates = api.book.requests["files.create"]
    assert creates + api.book.requests["session.start"] <= 12, "eight folders, a test file, the sentinel, one tar, one manifest"
    assert api.book.units <= 2500


def test_what_is_here_costs_nothing(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root).backup("outputs/run")
    api.book.reset()
    assert attach(root).ensure("outputs/run").outcome is Outcome.LOCAL
    assert not api.book.requests


def test_what_was_sent_by_the_api_is_confirmed_by_its_answer_however_much_it_is(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    keeper = attach(root)
    paths = [f"outputs/{n}.txt" for n in range(8)]
    for path in paths:
        (root / path).write_text(path)
    assert keeper.backup(*paths)
    api.book.reset()
    assert set(keeper.confirm().values()) == {Durability.CONFIRMED}
    assert sum(api.book.requests.values()) <= 6, "one look, whatever there is to confirm"


# -- lists that lag, folders that move, rights that lack -----------------------------------------------------------------


def test_what_this_machine_wrote_is_known_to_its_next_process_whatever_lists_show(api: DriveApi, tmp_path: Path) -> None:
    api.faults.list_lag = MINUTES
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root).backup("outputs/run")
    for size in (200, 300):
        fill(root, 5, size)
        assert attach(root).backup("outputs/run")
    api.faults.clock.advance(MINUTES)
    keeper = attach(machine(tmp_path, "fresh"))
    assert keeper.ensure("outputs/run").outcome is Outcome.RESTORED
    assert (keeper.root / "outputs/run/1/1").read_bytes() == (root / "outputs/run/1/1").read_bytes()
    assert [e.head for e in keeper.history("outputs/run")].count(True) == 1


def test_a_fresh_machine_waits_until_lists_must_show_what_was_there_before_it_says_absent(
    api: DriveApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    api.faults.list_lag = MINUTES
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root).backup("outputs/run")
    keeper = attach(machine(tmp_path, "fresh", remembers=MINUTES))
    assert keeper.store is not None
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        api.faults.clock.advance(seconds)

    object.__setattr__(keeper.store.backoff, "sleep", wait)
    keeper.store.memory.clock = api.faults.clock.now
    result = keeper.ensure("outputs/run")
    assert result.outcome is Outcome.RESTORED, result.error
    assert sum(waited) >= MINUTES - 60
    assert "may show listings as they were" in caplog.text


def test_two_machines_that_make_the_store_at_once_end_in_one(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    api.faults.list_lag = MINUTES
    roots = [machine(tmp_path, name) for name in ("one", "two")]
    for number, root in enumerate(roots):
        (root / "outputs" / f"{number}.txt").write_text(f"{number}")
        assert as_machine(attach(root), root.name).backup(f"outputs/{number}.txt")
    assert [i.name for i in cloud.everything() if i.parent == ROOT and i.folder] == ["proj", "proj"], "twins, as Drive allows them"
    api.faults.clock.advance(MINUTES)
    for number, root in enumerate(roots):
        (root / "outputs" / f"{number}.txt").write_text(f"{number} goes on")
        done = as_machine(attach(root), root.name).backup(f"outputs/{number}.txt")
        assert done, done.results[0].error
    api.faults.clock.advance(MINUTES)
    keeper = as_machine(attach(machine(tmp_path, "fresh")), "fresh")
    for number in range(2):
        assert keeper.ensure(f"outputs/{number}.txt").outcome is Outcome.RESTORED
        assert (keeper.root / "outputs" / f"{number}.txt").read_text() == f"{number} goes on"
        assert [e.head for e in keeper.history(f"outputs/{number}.txt")].count(True) == 1


@pytest.mark.parametrize("known", [True, False], ids=["that knows it", "that never saw it"])
@pytest.mark.parametrize("what", ["proj", "generations", "given"])
def test_a_folder_in_the_trash_is_never_absence(api: DriveApi, cloud: Cloud, tmp_path: Path, what: str, known: bool) -> None:
    given = cloud.create(ROOT, "Given", None)
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root, "gdrive:Given").backup("outputs/run")
    trashed = given.id if what == "given" else folder_called(cloud, what).id
    cloud.trash(trashed)
    here = root if known else machine(tmp_path, "fresh")
    keeper = as_machine(attach(here, "gdrive:Given"), here.name)
    if known:
        (here / "outputs/run/1/1").unlink()
    before = len(cloud.everything())
    result = keeper.ensure("outputs/run")
    assert result.outcome is Outcome.FAILED, result
    assert "trash" in (result.error or "")
    fill(here, 3, 400)
    assert not as_machine(attach(here, "gdrive:Given"), here.name).backup("outputs/run"), "no second store"
    assert len(cloud.everything()) == before
    cloud.restore(trashed)
    assert as_machine(attach(machine(tmp_path, "later"), "gdrive:Given"), "later").ensure("outputs/run").outcome is Outcome.RESTORED


def test_a_folder_that_this_account_may_not_see_is_never_absence(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    given = cloud.create(ROOT, "Given", None)
    root = machine(tmp_path, "here")
    fill(root, 5)
    keeper = attach(root, "gdrive:Given")
    assert keeper.backup("outputs/run")
    for hidden in (given.id, folder_called(cloud, "proj").id):
        api.faults.hidden = {hidden}
        for other in (keeper, attach(machine(tmp_path, f"fresh-{hidden[:6]}"), f"gdrive:id:{given.id}")):
            result = other.ensure("outputs/other")
            if hidden == given.id:
                assert result.outcome is Outcome.FAILED, result
    api.faults.hidden = ()
    assert keeper.backup("outputs/run")


def test_a_folder_that_is_shared_to_be_read_only_can_be_restored_from_and_says_why_not_written(
    api: DriveApi, cloud: Cloud, tmp_path: Path
) -> None:
    given = cloud.create(ROOT, "Given", None)
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root, f"gdrive:id:{given.id}").backup("outputs/run")
    api.faults.readonly = {given.id}
    keeper = as_machine(attach(machine(tmp_path, "fresh"), f"gdrive:id:{given.id}"), "fresh")
    assert keeper.ensure("outputs/run").outcome is Outcome.RESTORED
    fill(keeper.root, 3, 400)
    done = keeper.backup("outputs/run")
    assert not done
    assert "Editor" in done.results[0].error


def test_an_incomplete_list_is_never_absence(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    fill(root, 5)
    assert attach(root).backup("outputs/run")
    api.faults.incomplete = 0.5
    result = as_machine(attach(machine(tmp_path, "fresh")), "fresh").ensure("outputs/run")
    assert result.outcome is Outcome.FAILED
    assert "incomplete" in (result.error or "")


# -- secrets -------------------------------------------------------------------------------------------------------------


def test_where_much_goes_wrong_and_is_asked_about_no_secret_is_shown(api: DriveApi, tmp_path: Path) -> None:
    """What is shown is looked through after the test, as after every other of the API (`tests/leaks.py`)."""
    root = machine(tmp_path, "here")
    fill(root, 5)
    (root / "outputs" / "run" / "big.bin").write_bytes(os.urandom(6_000_000))
    api.faults.add(
        Fault(What.LOSE, "session.chunk"), Fault(What.REFUSE, "session.*", skip=1), Fault(What.LOSE, "files.*", skip=3, times=1)
    )
    keeper = quick(attach(root))
    keeper.backup("outputs/run")
    assert api.book.uploads, "there was a secret to show"
    assert TOKEN in api.book.tokens
    assert keeper.store is not None
    assert TOKEN not in repr(vars(keeper.store.backend))
    api.faults.clear()
    api.faults.expired = {TOKEN}
    assert not quick(attach(root)).backup("outputs/run")
    api.faults.expired = ()
    for command in (["status", "--json"], ["doctor"], ["backup", "outputs/run"]):
        line = [sys.executable, "-m", "holdfast", *command, "--root", str(root), "--drive", "gdrive:"]
        assert subprocess.run(line, capture_output=True, text=True, check=False).stdout


def goes_on(root: Path, drive: str = "gdrive:") -> None:
    """The work goes on: a backup, and a fresh machine has it."""
    fill(root, 3)
    assert attach(root, drive).backup("outputs/run")
    fresh = machine(root.parent, f"{root.name}-fresh")
    assert as_machine(attach(fresh, drive), "fresh").ensure("outputs/run").outcome is Outcome.RESTORED


def test_a_token_that_others_can_read_is_refused_until_nobody_else_can(api: DriveApi, tmp_path: Path) -> None:
    place = tmp_path / "settings" / "holdfast" / "drive.json"
    place.chmod(0o644)
    root = machine(tmp_path, "here")
    with pytest.raises(ConfigurationError, match="chmod 600") as caught:
        attach(root)
    assert TOKEN not in str(caught.value)
    place.chmod(0o600)
    goes_on(root)


def test_without_a_token_or_with_one_that_cannot_be_read_it_says_where_to_put_one(api: DriveApi, tmp_path: Path) -> None:
    place = tmp_path / "settings" / "holdfast" / "drive.json"
    root, text = machine(tmp_path, "here"), place.read_text()
    for broken in ("", "[]", '{"client_id": "x"}', "{"):
        place.write_text(broken)
        with pytest.raises(ConfigurationError, match="no token for Drive can be read there"):
            attach(root)
    place.unlink()
    with pytest.raises(ConfigurationError, match="nothing here gives a token"):
        attach(root)
    place.write_text(text)
    place.chmod(0o600)
    goes_on(root)


def test_what_is_switched_off_is_not_asked_until_it_is_switched_on(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here", api=False)
    with pytest.raises(ConfigurationError, match=r"drive\.api is off"):
        attach(root)
    assert not api.book.requests
    (root / "config" / "paths.yaml").write_text(json.dumps({"drive": {"api": "auto", "backup_base_dir": "proj"}}))
    goes_on(root)


@pytest.mark.parametrize("text", ["gdrive:a//b", "gdrive:../b", "gdrive:id:"])
def test_a_folder_of_drive_that_cannot_be_is_refused_and_another_taken(api: DriveApi, tmp_path: Path, text: str) -> None:
    root = machine(tmp_path, "here")
    with pytest.raises(ConfigurationError, match="gdrive:Folder/Sub"):
        attach(root, text)
    goes_on(root)


def test_a_folder_that_is_missing_or_in_the_trash_is_named_until_it_is_there(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    fill(root, 3)
    assert "Drive has no folder" in attach(root, "gdrive:Given").backup("outputs/run").results[0].error
    assert "is the id right" in attach(root, "gdrive:id:1234567890").backup("outputs/run").results[0].error
    given = cloud.create(ROOT, "Given", None)
    cloud.trash(given.id)
    assert "in Drive's trash" in attach(root, f"gdrive:id:{given.id}").backup("outputs/run").results[0].error
    cloud.restore(given.id)
    goes_on(root, "gdrive:Given")


def test_folders_in_one_another_are_refused_before_drive_refuses_them(api: DriveApi, tmp_path: Path) -> None:
    root = machine(tmp_path, "here")
    deep = root / "outputs" / "run" / "/".join("d" * 99)
    deep.mkdir(parents=True)
    (deep / "big.bin").write_bytes(os.urandom(2_000_000))
    done = attach(root).backup("outputs/run")
    assert "folders in one another" in done.results[0].error
    (root / "outputs" / "run" / "big.bin").write_bytes((deep / "big.bin").read_bytes())
    (deep / "big.bin").unlink()
    goes_on(root)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(What.CUT, "*", size=0, times=None),
        Fault(What.REFUSE, "files.list", times=None),
        Fault(What.CORRUPT, "files.create", times=None),
        Fault(What.REFUSE, "*", times=None, status=401, reason="authError"),
    ],
    ids=["no answer", "refused", "changed", "token"],
)
def test_what_drive_answers_badly_says_so_and_goes_on_later(api: DriveApi, tmp_path: Path, fault: Fault) -> None:
    root = machine(tmp_path, "here")
    fill(root, 3)
    api.faults.add(fault)
    assert not quick(attach(root)).backup("outputs/run")
    api.faults.clear()
    goes_on(root)


def test_doctor_tries_the_api_and_leaves_nothing(api: DriveApi, cloud: Cloud, tmp_path: Path) -> None:
    from holdfast.session.doctor import examine

    found = {f.topic: f for f in examine(attach(machine(tmp_path, "here")))}
    assert found["drive api"].level == "good", found["drive api"]
    assert found["latency"].level == "good", found["latency"]
    assert not [i for i in cloud.everything() if i.name.startswith("holdfast-doctor")]


def test_an_oauth_client_of_the_users_own_gives_tokens_and_new_ones_where_they_end(
    api: DriveApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """google-auth fetches them; neither they nor what they are fetched with is shown."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(api.certificate))
    place = tmp_path / "settings" / "holdfast" / "drive.json"
    own = {
        "client_id": "me",
        "client_secret": "a-secret-of-mine",
        "refresh_token": "1//refresh-me",
        "token_uri": f"{api.address}/token",
    }
    place.write_text(json.dumps(own))
    goes_on(machine(tmp_path, "here"))
    assert api.book.requests["token"] >= 1
    keeper = attach(machine(tmp_path, "later"))
    fill(keeper.root, 4)
    api.faults.add(Fault(What.REFUSE, "files.*", status=401, reason="authError"))
    assert keeper.backup("outputs/run")
    assert "a-secret-of-mine" not in caplog.text
    assert "refresh-me" not in caplog.text
