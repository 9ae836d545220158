"""The watch over secrets finds one that is shown, wherever that is, and leaves alone what is where it has to be."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreachable
from holdfast.session.doctor.findings import bad
from holdfast.simulator.drive_api import DriveApi
from holdfast.store.backends.api.transport import Address, Transport
from tests.leaks import Watch

TOKEN, UPLOAD = "ya29.planted", "AHmUCY-planted"
SECRETS = {"token": TOKEN, "upload": UPLOAD, "an upload that nobody knows of": "https://drive/x?upload_id=other"}


def logged(folder: Path, secret: str) -> None:
    logging.getLogger("urllib3.somewhere").debug("PUT %s", secret)


def raised(folder: Path, secret: str) -> None:
    StoreUnreachable(5, f"no answer from {secret}", "a/b")


def logged_with_its_traceback(folder: Path, secret: str) -> None:
    try:
        raise ValueError(secret)
    except ValueError:
        logging.getLogger("holdfast").exception("it broke")


def printed_by_a_child(folder: Path, secret: str) -> None:
    subprocess.run([sys.executable, "-c", f"print({secret!r})"], capture_output=True, check=True)


def found_by_doctor(folder: Path, secret: str) -> None:
    bad("drive api", secret)


def in_the_cloud(folder: Path, secret: str) -> None:
    write(folder / "cloud" / "contents" / "0123", f"{'x' * 1000}{secret}")


def in_a_state_folder(folder: Path, secret: str) -> None:
    write(folder / "here" / ".holdfast" / "drive-api" / "a" / "made", secret)


def in_a_note_that_others_can_read(folder: Path, secret: str) -> None:
    write(folder / "here" / ".holdfast" / "drive-api" / "a" / "uploads" / "id", secret, 0o644)


def write(place: Path, text: str, mode: int = 0o600) -> None:
    place.parent.mkdir(parents=True)
    place.write_text(text)
    place.chmod(mode)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
@pytest.mark.parametrize(
    "shows",
    [
        logged,
        raised,
        logged_with_its_traceback,
        printed_by_a_child,
        found_by_doctor,
        in_the_cloud,
        in_a_state_folder,
        in_a_note_that_others_can_read,
    ],
)
def test_a_secret_that_is_shown_is_found(shows: Callable[[Path, str], None], secret: str, tmp_path: Path) -> None:
    watch = Watch(tmp_path, lambda: {TOKEN}, lambda: {UPLOAD})
    with watch.watching():
        logging.getLogger("holdfast").warning("https://drive/x?upload_id=... was cut out")
        assert watch.found() == []
        shows(tmp_path, secret)
    assert len(watch.found()) == 1


def test_what_is_where_it_has_to_be_is_no_leak_and_a_token_is_no_address(tmp_path: Path) -> None:
    write(tmp_path / "settings" / "holdfast" / "drive.json", json.dumps({"token": TOKEN}))
    note = tmp_path / "here" / "uploads" / "id"
    write(note, f"https://drive/x?upload_id={UPLOAD}")
    watch = Watch(tmp_path, lambda: {TOKEN}, lambda: {UPLOAD})
    assert watch.found() == []
    note.write_text(TOKEN)
    assert len(watch.found()) == 1


def test_what_went_over_the_line_is_known_to_be_secret(tmp_path: Path) -> None:
    with DriveApi(tmp_path / "cloud", tls=False) as api:
        asking = Transport(lambda fresh: TOKEN, address=Address(api.address))
        form = b"grant_type=refresh_token&refresh_token=1%2F%2Frefresh&client_secret=hush"
        given = asking.ask("POST", "/token", where="here", body=form).object()["access_token"]
        began = asking.ask("POST", "/upload/drive/v3/files", where="here", query={"uploadType": "resumable"}, body=b"{}")
        assert api.book.tokens == {"1//refresh", "hush", given, TOKEN}
        assert [began.headers["location"].rpartition("=")[2]] == list(api.book.uploads)
