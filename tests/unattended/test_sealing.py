"""What is sealed is opened by whom it is for and by nobody else, and a token that was handed over is in memory only."""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import StoreUnreachable
from holdfast.session.drive_tokens import ServedToken
from holdfast.unattended.handed import Handed
from holdfast.unattended.sealing import Pair, seal


def test_only_the_holder_of_the_key_opens_what_was_sealed_for_it() -> None:
    pair, other = Pair(), Pair()
    sealed = seal(pair.public, b"a token")
    assert pair.open(sealed) == b"a token"
    assert b"a token" not in base64.b64decode(sealed)
    assert seal(pair.public, b"a token") != sealed
    with pytest.raises(ValueError, match="another key"):
        other.open(sealed)
    changed = bytearray(base64.b64decode(sealed))
    changed[40] ^= 1
    with pytest.raises(ValueError, match="changed"):
        pair.open(base64.b64encode(bytes(changed)).decode())


@pytest.mark.parametrize("key", ["", "00", "00" * 31, "00" * 32, "no key"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"public key|shared|hexadecimal"):
        seal(key, b"a token")


@pytest.mark.parametrize("sealed", ["", "AAAA", base64.b64encode(bytes(90)).decode(), "no base64"])
def test_what_was_never_sealed_is_refused(sealed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pair().open(sealed)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(write)


def hand(pipe: tuple[int, int], handed: Handed, token: str, seconds: float | None) -> None:
    os.write(pipe[1], seal(handed.told()["key"], json.dumps({"token": token, "seconds": seconds}).encode()).encode() + b"\n")


def test_who_asks_is_given_the_newest_token_and_waits_for_the_first(tmp_path: Path, pipe: tuple[int, int]) -> None:
    handed = Handed(pipe[0], tmp_path / "tokens")
    assert handed.told()["wanted"] == "none yet"
    found: list[str] = []
    asked = ServedToken(str(tmp_path / "tokens"))
    waits = threading.Thread(target=lambda: found.append(asked(False)))
    waits.start()
    os.write(pipe[1], b"nothing of ours\n" + seal(Pair().public, b"{}").encode() + b"\n")
    hand(pipe, handed, "one", 3600.0)
    waits.join()
    assert found == ["one"]
    assert handed.told()["wanted"] == ""
    assert (tmp_path / "tokens").stat().st_mode & 0o077 == 0


def test_a_token_that_was_refused_is_answered_with_the_next_one(tmp_path: Path, pipe: tuple[int, int]) -> None:
    handed = Handed(pipe[0], tmp_path / "tokens")
    hand(pipe, handed, "one", None)
    asked = ServedToken(str(tmp_path / "tokens"))
    assert asked(False) == "one"
    found: list[str] = []
    waits = threading.Thread(target=lambda: found.append(asked(True)))
    waits.start()
    while handed.told()["wanted"] != "refused":
        pass
    hand(pipe, handed, "two", 3600.0)
    waits.join()
    assert found == ["two"]
    assert handed.told()["wanted"] == ""


def test_a_token_that_ends_soon_is_wanted_anew(tmp_path: Path, pipe: tuple[int, int]) -> None:
    handed = Handed(pipe[0], tmp_path / "tokens")
    hand(pipe, handed, "one", 100.0)
    assert ServedToken(str(tmp_path / "tokens"))(False) == "one"
    assert handed.told()["wanted"] == "soon over"


def test_without_a_supervisor_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match="has handed over no token"):
        ServedToken(str(tmp_path / "tokens"))(False)
